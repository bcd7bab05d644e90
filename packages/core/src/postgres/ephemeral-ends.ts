import type { Clock, Timer } from '../clock.ts'

const LOOK_MS_MIN = 1_000
const RETRY_MS = 10_000
// So that what ends by then has ended when it is looked at.
const MARGIN_MS = 10

/** How the times of a directory's ephemeral records stand. */
export interface Ends {
  /** Whether one of them ended, and is still to be removed, in the time that was asked for. */
  readonly hasEnded: boolean
  /** When the first of them ends if nobody beats; undefined where there is none. */
  readonly nextEndMs: number | undefined
}

/** What a look at the ends of ephemeral records needs. */
export interface EphemeralEndsSettings {
  readonly clock: Clock
  /** Asks for what ended in the last `sinceMs`. */
  readonly read: (directory: string, sinceMs: number) => Promise<Ends>
  /** Tells those who listen to the directory. */
  readonly tell: (directory: string) => void
}

interface Follow {
  lookedAtMs: number
  timer: Timer | undefined
  dueMs: number
}

/**
 * Tells listeners of ephemeral records that ended by their time: the server tells nobody before it removes them. Looks when the
 * first of them may have ended, which beats put off without a word, and once a second at most.
 */
export class EphemeralEnds {
  readonly #settings: EphemeralEndsSettings
  readonly #follows = new Map<string, Follow>()

  constructor(settings: EphemeralEndsSettings) {
    this.#settings = settings
  }

  /** Those who listen to the directory hear of changes from now on. */
  follow(directory: string): void {
    const lookedAtMs = this.#settings.clock.monotonicMs()
    const follow = this.#follows.get(directory) ?? { lookedAtMs, timer: undefined, dueMs: Infinity }
    this.#follows.set(directory, follow)
    this.#arm(directory, follow, LOOK_MS_MIN)
  }

  /** Nobody listens to it any more. */
  unfollow(directory: string): void {
    this.#follows.get(directory)?.timer?.cancel()
    this.#follows.delete(directory)
  }

  /** A record came that ends in so long. */
  expect(directory: string, endMs: number): void {
    const follow = this.#follows.get(directory)
    if (follow !== undefined) this.#arm(directory, follow, endMs)
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
    const nowMs = this.#settings.clock.monotonicMs()
    try {
      const ends = await this.#settings.read(directory, nowMs - follow.lookedAtMs + MARGIN_MS)
      if (this.#follows.get(directory) !== follow) return
      follow.lookedAtMs = nowMs
      if (ends.nextEndMs !== undefined) this.#arm(directory, follow, ends.nextEndMs)
      if (ends.hasEnded) this.#settings.tell(directory)
    } catch {
      // Who listens is told by others that the store does not answer.
      if (this.#follows.get(directory) === follow) this.#arm(directory, follow, RETRY_MS)
    }
  }
}
