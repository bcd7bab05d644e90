import type { Clock } from '../clock.ts'

/** The end of something that is held for a time. */
export interface Deadline {
  /** Milliseconds left; 0 or less when it has passed. No I/O. */
  remainingMs(): number
}

/**
 * How much sooner than the store a client lets a lease end, for clocks that run at different speeds.
 *
 * @see https://redis.io/docs/latest/develop/clients/patterns/distributed-locks (clock drift factor 0.01, plus 2 ms)
 */
export function driftMs(spanMs: number): number {
  return spanMs * 0.01 + 2
}

/** A moment by both clocks of this machine. */
export interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
}

/**
 * `lengthMs` after `start`. What remains is the lesser of the monotonic and the wall-clock remainder: the monotonic clock
 * stops while a machine sleeps, and the wall clock can be set back.
 */
export class ClockDeadline implements Deadline {
  readonly #clock: Clock
  readonly #monotonicMs: number
  readonly #wallMs: number

  constructor(clock: Clock, start: Moment, lengthMs: number) {
    this.#clock = clock
    this.#monotonicMs = start.monotonicMs + lengthMs
    this.#wallMs = start.wallMs + lengthMs
  }

  remainingMs(): number {
    return Math.min(this.#monotonicMs - this.#clock.monotonicMs(), this.#wallMs - this.#clock.wallMs())
  }
}

/** The deadline of a grant or renewal that the store answered: counted from before the request was sent (L1). */
export function answeredDeadline(clock: Clock, sent: Moment, ttlMs: number): ClockDeadline {
  return new ClockDeadline(clock, sent, ttlMs - driftMs(ttlMs))
}
