/** How a quota stands, for what tells callers of it (the RateLimit header fields): computed when asked, no promise about the next call. */
export interface QuotaView {
  /** Calls for each period. */
  readonly limit: number
  readonly periodMs: number
  /** What could be taken now, whole permits. */
  readonly remaining: number
  /** Until all of it is there again, if nothing is taken meanwhile, in whole milliseconds. */
  readonly resetMs: number
}

/** What may pass: `limit` for each `periodMs`, and `burst` at once after a rest. */
export interface Quota {
  /** Whole, but for one's share of a quota of many. */
  readonly limit: number
  readonly periodMs: number
  readonly burst: number
}

/**
 * Measures one quota. Its state is `width` numbers from `at` on in an array that others share: all 0 is the state of a key that was
 * never seen. Four arguments, because `take` is on the hot path and an options object would be garbage.
 */
export interface Meter {
  readonly quota: Quota
  readonly width: number
  /**
   * Takes `cost`, or nothing.
   *
   * @returns a ticket >= 0 for `undo`, or less: minus the milliseconds until it can be taken, -Infinity where it never can.
   */
  take(state: Float64Array, at: number, cost: number, nowMs: number): number
  /** As if it had not been taken. */
  undo(state: Float64Array, at: number, cost: number, ticket: number): void
  /** Whether a state of 0 would answer all that comes in the same way: nothing is lost with it. */
  isWhole(state: Float64Array, at: number, nowMs: number): boolean
  /** What could be taken now, and when all could. */
  look(state: Float64Array, at: number, nowMs: number): { readonly remaining: number; readonly resetMs: number }
  /** The state that `previous`, a meter of the same kind, left: what was taken stays taken, whatever the quota is now. */
  adopt(state: Float64Array, at: number, previous: Meter, nowMs: number): void
}
