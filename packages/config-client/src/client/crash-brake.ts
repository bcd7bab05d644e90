import { readFile } from 'node:fs/promises'
import type { Clock, Timer } from '@holdfast/core'
import { randomId, systemRandom } from '@holdfast/core'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import { isAlive, replaceFile } from './atomic-file.ts'

/** How many starts may die on a release, in which time. */
export interface CrashLoopLimits {
  readonly starts: number
  readonly withinMs: number
}

/** Where starts are kept, and who hears of trouble. */
export interface CrashBrakeOptions extends CrashLoopLimits {
  readonly path: string
  readonly clock: Clock
  readonly failed: (error: unknown) => void
}

interface Start {
  readonly id: string
  readonly pid: number
  readonly release: ReleaseName
  /** By the wall clock. */
  readonly atMs: number
}

const STARTS_MAX = 100

/**
 * Counts starts that die young. Each start notes the release that it runs on before it does; who lives for `withinMs`, or is closed
 * in good order, strikes out the notes on his release. What is left are the deaths.
 */
export class CrashBrake {
  readonly #options: CrashBrakeOptions
  readonly #id = randomId(systemRandom)
  #starts: readonly Start[] = []
  #release: ReleaseName | undefined
  #timer: Timer | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(options: CrashBrakeOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    this.#starts = await this.#read()
  }

  /** Whether so many starts died on the release that it must not be tried. */
  isOn(release: ReleaseName): boolean {
    const { starts } = this.#options
    return (
      this.#recent(this.#starts).filter(start => isSameRelease(start.release, release) && isDead(start)).length >=
      starts
    )
  }

  /** Notes that this process runs on the release from now on. Resolves when that is on disk; never rejects. */
  runsOn(release: ReleaseName): Promise<void> {
    if (isSameRelease(this.#release, release)) return this.#work
    const { clock, withinMs } = this.#options
    this.#release = release
    this.#timer?.cancel()
    this.#timer = clock.setTimer(() => void this.#strikeOut(), withinMs)
    const start: Start = { id: this.#id, pid: process.pid, release, atMs: clock.wallMs() }
    return this.#change(starts => [...starts.filter(({ id }) => id !== this.#id), start])
  }

  /** This process ends in good order. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    await this.#strikeOut()
  }

  #strikeOut(): Promise<void> {
    const release = this.#release
    if (release === undefined) return this.#work
    return this.#change(starts =>
      starts.filter(start => start.id !== this.#id && !isSameRelease(start.release, release)),
    )
  }

  #change(change: (starts: readonly Start[]) => readonly Start[]): Promise<void> {
    this.#work = this.#work.then(async () => {
      try {
        // Other processes of the service keep theirs there too.
        this.#starts = this.#recent(change(await this.#read())).slice(-STARTS_MAX)
        await replaceFile(this.#options.path, JSON.stringify(this.#starts))
      } catch (error) {
        this.#options.failed(error)
      }
    })
    return this.#work
  }

  #recent(starts: readonly Start[]): readonly Start[] {
    const { clock, withinMs } = this.#options
    return starts.filter(({ atMs }) => Math.abs(clock.wallMs() - atMs) <= withinMs)
  }

  // A file that cannot be read says nothing: counting begins anew.
  async #read(): Promise<readonly Start[]> {
    try {
      const read: unknown = JSON.parse(await readFile(this.#options.path, 'utf8'))
      return Array.isArray(read) ? read.filter(isStart) : []
    } catch {
      return []
    }
  }
}

function isStart(value: unknown): value is Start {
  const { id, pid, release, atMs } = (value ?? {}) as Partial<Start>
  return (
    typeof id === 'string' &&
    typeof pid === 'number' &&
    typeof atMs === 'number' &&
    typeof release?.number === 'number' &&
    typeof release.hash === 'string'
  )
}

// In a container every start has the same process id: one that is ours, and is not this start, is dead.
function isDead({ pid }: Start): boolean {
  return pid === process.pid || !isAlive(pid)
}
