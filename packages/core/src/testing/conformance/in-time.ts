import type { Backend } from '../../backend.ts'
import type { Clock } from '../../clock.ts'
import type { Scene } from './scene.ts'

const DOUBLINGS_MAX = 4

/** What has to be done before a short lease ends. */
export interface Haste {
  /** The TTL of this attempt. */
  readonly ttlMs: number
  /** Runs a call that gives the lease all of its time, and answers what the call did. */
  readonly renewing: <T>(call: () => Promise<T>) => Promise<T>
  /** From here on the lease may end. */
  readonly over: () => void
}

/**
 * Runs what has to be done before a short lease ends. Where it fails, and the machine was so slow that the lease could have ended by then,
 * that says nothing of the store: it is run anew with twice the TTL. Moments are taken around the calls, so a store that ends a lease
 * before its time is found however slow the machine is. `attempt` takes a resource of its own each time.
 */
export async function inTime(scene: Scene, client: Backend, attempt: (haste: Haste) => Promise<void>): Promise<void> {
  for (let doublings = 0; ; doublings += 1) {
    const ttlMs = scene.ttlMs * 2 ** doublings
    const time = new TimeLeft(client.clock, ttlMs)
    try {
      return await attempt({ ttlMs, renewing: call => time.renewing(call), over: () => time.over() })
    } catch (error) {
      // A session does not end by a TTL that was asked for.
      if (!time.wasUp() || client.leases.renewal === 'session' || doublings === DOUBLINGS_MAX) throw error
    }
  }
}

/** Whether a lease could have ended before it was to. */
class TimeLeft {
  readonly #clock: Clock
  readonly #ttlMs: number
  // Since when the lease has all of its time, at the earliest; undefined while it may end.
  #fromMs: number | undefined
  #longestMs = 0

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock
    this.#ttlMs = ttlMs
  }

  async renewing<T>(call: () => Promise<T>): Promise<T> {
    const sentMs = this.#clock.monotonicMs()
    const answer = await call()
    this.#note()
    this.#fromMs = sentMs
    return answer
  }

  over(): void {
    this.#note()
    this.#fromMs = undefined
  }

  wasUp(): boolean {
    this.#note()
    return this.#longestMs >= this.#ttlMs
  }

  #note(): void {
    if (this.#fromMs === undefined) return
    this.#longestMs = Math.max(this.#longestMs, this.#clock.monotonicMs() - this.#fromMs)
  }
}
