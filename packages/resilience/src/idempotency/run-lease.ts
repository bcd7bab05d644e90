import type { Clock, Deadline, IdempotencyStore, Moment, RunRef, Timer } from '@holdfast/core'
import { LeaseLostError, answeredDeadline, momentOf } from '@holdfast/core'

/** What the lease of a run is kept with. */
export interface RunLeaseParts {
  readonly clock: Clock
  readonly store: IdempotencyStore
  readonly leaseMs: number
  /** Called once, when the run is not the caller's any more, or may not be. */
  readonly lost: (reason: LeaseLostError) => void
}

/**
 * Keeps a run alive while its work is at it: renews at a third of the lease, and ends it by its deadline, whatever the renewals do.
 */
export class RunLease {
  readonly #parts: RunLeaseParts
  readonly #run: RunRef
  #deadline: Deadline
  #renewal: Timer | undefined
  #end: Timer | undefined
  #isOver = false

  /** @param sent the moment before the run was asked for. */
  constructor(parts: RunLeaseParts, run: RunRef, sent: Moment) {
    this.#parts = parts
    this.#run = run
    this.#deadline = answeredDeadline(parts.clock, sent, parts.leaseMs)
    this.#watchEnd()
    this.#renewIn(parts.leaseMs / 3)
  }

  /** Renews no more. What is left of the lease passes. */
  stop(): void {
    this.#isOver = true
    this.#renewal?.cancel()
    this.#end?.cancel()
  }

  #renewIn(delayMs: number): void {
    this.#renewal = this.#parts.clock.setTimer(() => void this.#renew(), delayMs)
  }

  async #renew(): Promise<void> {
    // A machine that slept has late timers.
    if (this.#deadline.remainingMs() <= 0) return this.#lose('expired')
    const { clock, store, leaseMs } = this.#parts
    const sent = momentOf(clock)
    const answer = await store.renew(this.#run, leaseMs).catch(() => undefined)
    if (this.#isOver) return
    if (answer === 'stale') return this.#lose('revoked')
    // No answer: it is asked again and again, until the deadline.
    if (answer === undefined) return this.#renewIn(leaseMs / 10)
    this.#deadline = answeredDeadline(clock, sent, leaseMs)
    this.#watchEnd()
    this.#renewIn(leaseMs / 3)
  }

  #watchEnd(): void {
    this.#end?.cancel()
    const look = (): void => (this.#deadline.remainingMs() <= 0 ? this.#lose('expired') : this.#watchEnd())
    // Not a fraction of a millisecond too early: it would only have to look again.
    this.#end = this.#parts.clock.setTimer(look, Math.max(1, Math.ceil(this.#deadline.remainingMs())))
  }

  #lose(reason: 'expired' | 'revoked'): void {
    if (this.#isOver) return
    this.stop()
    this.#parts.lost(new LeaseLostError(this.#run.key, reason))
  }
}
