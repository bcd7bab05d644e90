import { hostname } from 'node:os'
import type { Clock, Timer } from '@holdfast/core'
import { randomId, systemRandom } from '@holdfast/core'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import { isAlive, readRegularFile, replaceFile } from './atomic-file.ts'

/** How many starts may die on a release, in which time. */
export interface CrashLoopLimits {
  readonly starts: number
  readonly withinMs: number
}

/** Where starts are kept, and who hears of trouble with the file, and of writes without. */
export interface CrashBrakeOptions extends CrashLoopLimits {
  readonly path: string
  readonly clock: Clock
  readonly failed: (error: unknown) => void
  readonly written: () => void
}

interface Start {
  readonly id: string
  readonly host: string
  readonly pid: number
  /** When the process began, by the wall clock: in a container every start has the same process id. */
  readonly processAtMs: number
  readonly release: ReleaseName
  /** By the wall clock. */
  readonly atMs: number
}

const STARTS_MAX = 100
/** By how much the beginning of one process may seem to differ: the wall clock is set now and then. */
const SAME_PROCESS_MS = 1_000

/**
 * Counts starts that die young. Each start notes the release that it runs on before it does; who lives for `withinMs`, or is closed
 * in good order, strikes out the notes on his release. What is left are the deaths.
 */
export class CrashBrake {
  readonly #options: CrashBrakeOptions
  readonly #id = randomId(systemRandom)
  #found: readonly Start[] = []
  /** The note of this start; undefined when there is none to be. */
  #own: Start | undefined
  /** The release whose notes are to go. */
  #proven: ReleaseName | undefined
  #release: ReleaseName | undefined
  #timer: Timer | undefined
  #isDirty = false
  #writing: Promise<void> | undefined

  constructor(options: CrashBrakeOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    this.#found = await this.#read()
  }

  /** Whether so many starts died on the release that it must not be tried. */
  isOn(release: ReleaseName): boolean {
    const deaths = this.#recent(this.#found).filter(
      start => isSameRelease(start.release, release) && this.#isDead(start),
    )
    return deaths.length >= this.#options.starts
  }

  /** Notes that this process runs on the release from now on. Resolves when that is on disk; never rejects. */
  runsOn(release: ReleaseName): Promise<void> {
    if (isSameRelease(this.#release, release)) return this.#writing ?? Promise.resolve()
    const { clock, withinMs } = this.#options
    this.#release = release
    const processAtMs = this.#processAtMs()
    this.#own = { id: this.#id, host: hostname(), pid: process.pid, processAtMs, release, atMs: clock.wallMs() }
    this.#timer?.cancel()
    this.#timer = clock.setTimer(() => void this.#strikeOut(), withinMs)
    return this.#write()
  }

  /** This process ends in good order. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    if (this.#own !== undefined) await this.#strikeOut()
    await this.#writing
  }

  #strikeOut(): Promise<void> {
    this.#own = undefined
    this.#proven = this.#release
    return this.#write()
  }

  // One write at a time; what comes meanwhile leads to one more.
  #write(): Promise<void> {
    this.#isDirty = true
    this.#writing ??= this.#writeWhileDirty()
    return this.#writing
  }

  async #writeWhileDirty(): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false
      // Other processes of the service keep theirs there too.
      const starts = this.#recent(await this.#read())
      const [own, proven] = [this.#own, this.#proven]
      const others = starts.filter(({ id, release }) => id !== this.#id && !(proven && isSameRelease(release, proven)))
      try {
        await replaceFile(this.#options.path, JSON.stringify([...others, ...(own ? [own] : [])].slice(-STARTS_MAX)))
        this.#options.written()
      } catch (error) {
        this.#options.failed(error)
      }
      if (this.#proven === proven) this.#proven = undefined
    }
    this.#writing = undefined
  }

  #recent(starts: readonly Start[]): readonly Start[] {
    const { clock, withinMs } = this.#options
    return starts.filter(({ atMs }) => Math.abs(clock.wallMs() - atMs) <= withinMs)
  }

  #processAtMs(): number {
    return Math.round(this.#options.clock.wallMs() - process.uptime() * 1_000)
  }

  // Of another machine or container that keeps its starts here nobody can tell: it is taken to live.
  #isDead({ host, pid, processAtMs }: Start): boolean {
    if (host !== hostname()) return false
    if (pid !== process.pid) return !isAlive(pid)
    // Threads of this process live as long as it does.
    return Math.abs(processAtMs - this.#processAtMs()) > SAME_PROCESS_MS
  }

  // A file that cannot be read says nothing: counting begins anew.
  async #read(): Promise<readonly Start[]> {
    try {
      const read: unknown = JSON.parse((await readRegularFile(this.#options.path)) ?? '[]')
      return Array.isArray(read) ? read.filter(isStart) : []
    } catch {
      return []
    }
  }
}

function isStart(value: unknown): value is Start {
  const { id, host, pid, processAtMs, release, atMs } = (value ?? {}) as Partial<Start>
  return (
    typeof id === 'string' &&
    typeof host === 'string' &&
    typeof pid === 'number' &&
    typeof processAtMs === 'number' &&
    typeof atMs === 'number' &&
    typeof release?.number === 'number' &&
    typeof release.hash === 'string'
  )
}
