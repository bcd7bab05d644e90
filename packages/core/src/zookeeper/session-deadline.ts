import type { Clock } from '../clock.ts'
import type { Deadline, Moment } from '../lease/deadline.ts'

/**
 * The part of a session's timeout for which an acknowledged write proves the session.
 *
 * The server ends a session no sooner than its timeout after it last heard of it. The third that we leave is for clocks that run
 * at different speeds, and for a follower, which tells the leader of its sessions only every half tick: a write that it passed on
 * may reach the leader's books that much sooner than the word that the session lives. A timeout has two ticks at least.
 */
const PROVEN_RATIO = 2 / 3

/**
 * The one deadline of all leases of a session: two thirds of its timeout after the last acknowledged write was sent, by the
 * monotonic and by the wall clock.
 *
 * Once it has passed it stays so, whatever is acknowledged later: who was told that a lease is over must not see it come back.
 */
export class SessionDeadline implements Deadline {
  readonly #clock: Clock
  #sent: Moment
  #lengthMs: number
  #hasLapsed = false

  constructor(clock: Clock, sent: Moment, sessionTimeoutMs: number) {
    this.#clock = clock
    this.#sent = sent
    this.#lengthMs = sessionTimeoutMs * PROVEN_RATIO
  }

  remainingMs(): number {
    if (this.#hasLapsed) return 0
    const { monotonicMs, wallMs } = this.#sent
    const spentMs = Math.max(this.#clock.monotonicMs() - monotonicMs, this.#clock.wallMs() - wallMs)
    if (spentMs >= this.#lengthMs) this.#hasLapsed = true
    return Math.max(0, this.#lengthMs - spentMs)
  }

  get lengthMs(): number {
    return this.#lengthMs
  }

  /** Another server may grant less when it takes the session over. */
  limitTo(sessionTimeoutMs: number): void {
    this.#lengthMs = Math.min(this.#lengthMs, sessionTimeoutMs * PROVEN_RATIO)
  }

  /** How long ago the write was sent that it rests on. */
  ageMs(): number {
    return this.#clock.monotonicMs() - this.#sent.monotonicMs
  }

  /** Moves it to rest on a later write. False when it had passed already. */
  extend(sent: Moment): boolean {
    if (this.remainingMs() <= 0) return false
    if (sent.monotonicMs > this.#sent.monotonicMs) this.#sent = sent
    return true
  }
}
