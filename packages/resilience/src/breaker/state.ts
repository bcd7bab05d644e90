/**
 * Why a circuit opened.
 *
 * - `failures`, `slow-calls`: the ratio of its window was reached.
 * - `trial`: the trial calls of the half-open state failed, or were slow.
 * - `trial-timeout`: they did not all end within `halfOpenMsMax`.
 * - `peers`: enough other instances found the same.
 */
export type OpenCause = 'failures' | 'slow-calls' | 'trial' | 'trial-timeout' | 'peers'

/** What a circuit does with calls. All times are of the policy's monotonic clock, in milliseconds. */
export type CircuitState =
  /** All calls pass, and are counted. */
  | { readonly kind: 'closed' }
  /** No call passes; the first one from `halfOpensAtMs` on makes it half-open. */
  | {
      readonly kind: 'open'
      readonly cause: OpenCause
      /** How many times in a row it has opened without closing, from 1. */
      readonly openings: number
      readonly openedAtMs: number
      readonly halfOpensAtMs: number
    }
  /** As many calls pass as the rule permits, and what becomes of them decides. From `endsAtMs` on it is open again. */
  | { readonly kind: 'half-open'; readonly openings: number; readonly endsAtMs: number }
  /** No call passes, until all who isolated it have let go. */
  | { readonly kind: 'isolated' }

/** What `onBreak` tells; with `error`, `value` or `isolated` as cockatiel's event has them. */
export interface CircuitBreak {
  readonly cause: OpenCause | 'isolated'
  /** For how long no call passes; undefined when it was isolated by hand. */
  readonly openMs: number | undefined
  /** What the last call threw that counted, or the value that it returned. Neither, where no call of ours was the cause. */
  readonly error?: unknown
  readonly value?: unknown
  readonly isolated?: true
}
