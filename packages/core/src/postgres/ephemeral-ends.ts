import type { Clock, Timer } from '../clock.ts'

const LOOK_MS_MIN = 1_000
const RETRY_MS = 10_000
// So that what ends by then has ended when it is looked at.
const MARGIN_MS = 10

/** Which ephemeral records there are, and when the first of them ends if nobody beats. */
export interface Ends {
  /** Equal for equal sets of records, values and owners. */
  readonly digest: string
  readonly nextEndMs: number | undefined
}

/** What a look at the ends of ephemeral records needs. */
export interface EphemeralEndsSettings {
  readonly clock: Clock
  readonly read: (directory: string) => Promise<Ends>
  /** Tells those who listen to the directory. */
  readonly tell: (directory: string) => void
}

interface Follow {
  /** Of what was read last; undefined before. */
  digest: string | undefined
  /** Whether a record was told of that nobody has read. */
  isUnread: boolean
  timer: Timer | undefined
  dueMs: number
}

/**
 * Tells listeners of ephemeral records that ended by their time: the server tells nobody. Looks when the first of them may have
 * ended, which beats put off without a word, and once a second at most.
 */
export class EphemeralEnds {
  readonly #settings: EphemeralEndsSettings
  readonly #follows = new Map<string, Follow>()

  constructor(settings: EphemeralEndsSettings) {
    this.#settings = settings
  }

  /** Somebody listens to the directory now. */
  follow(directory: string): void {
    if (this.#follows.has(directory)) return
    this.#follows.set(directory, { digest: undefined, isUnread: false, timer: undefined, dueMs: Infinity })
  }

  /** Nobody listens to it any more. */
  unfollow(directory: string): void {
    this.#follows.get(directory)?.timer?.cancel()
    this.#follows.delete(directory)
  }

  /** There may be ephemeral records that nobody has read: those of before. */
  suspect(directory: string): void {
    const follow = this.#follows.get(directory)
    if (follow !== undefined) this.#arm(directory, follow, LOOK_MS_MIN)
  }

  /** There is one more that nobody has read, and it ends in so long. */
  expect(directory: string, endMs: number): void {
    const follow = this.#follows.get(directory)
    if (follow === undefined) return
    follow.isUnread = true
    this.#arm(directory, follow, endMs)
  }

  /** What was read of a directory. */
  seen(directory: string, { digest, nextEndMs }: Ends): void {
    const follow = this.#follows.get(directory)
    if (follow === undefined) return
    follow.digest = digest
    follow.isUnread = false
    follow.timer?.cancel()
    follow.dueMs = Infinity
    if (nextEndMs !== undefined) this.#arm(directory, follow, nextEndMs)
  }

  // The earliest of what is due counts.
  #arm(directory: string, follow: Follow, endMs: number): void {
    const { clock } = this.#settings
    const delayMs = Math.max(LOOK_MS_MIN, endMs + MARGIN_MS)
    const dueMs = clock.monotonicMs() + delayMs
    if (follow.dueMs <= dueMs) return
    follow.timer?.cancel()
    follow.dueMs = dueMs
    follow.timer = clock.setTimer(() => {
      follow.dueMs = Infinity
      void this.#look(directory, follow)
    }, delayMs)
  }

  async #look(directory: string, follow: Follow): Promise<void> {
    try {
      const ends = await this.#settings.read(directory)
      if (this.#follows.get(directory) !== follow) return
      const isNews = follow.digest === undefined ? follow.isUnread : follow.digest !== ends.digest
      this.seen(directory, ends)
      if (isNews) this.#settings.tell(directory)
    } catch {
      // Who listens is told by others that the store does not answer.
      if (this.#follows.get(directory) === follow) this.#arm(directory, follow, RETRY_MS)
    }
  }
}
