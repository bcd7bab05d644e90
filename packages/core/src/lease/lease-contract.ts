import type { FencingToken } from '../fencing/token.ts'

/**
 * What a lease promises, strongest last.
 *
 * - `advisory`: an acknowledged grant can vanish with its server (Redis that does not write every change to disk).
 * - `lease`: two valid leases never overlap, also when servers crash.
 * - `fenced`: a guard was raised to its token, so a stale holder's write is refused whatever happens.
 */
export type LeaseGuarantee = 'advisory' | 'lease' | 'fenced'

/** Something held for a time, and only for a time. */
export interface Lease extends AsyncDisposable {
  /** Of a permit: the resource of its slot, as `pool#0`, which is what its token fences. */
  readonly resource: string
  /**
   * Grows with every grant of the resource.
   *
   * @throws {LeaseLostError} `HF_LEASE_LOST` once the lease is lost, also when no timer had a chance to say so.
   * @throws {UnsupportedError} `HF_UNSUPPORTED` of a quorum that was made with `fencing: false`
   */
  readonly token: FencingToken
  /** The effective one, in milliseconds. */
  readonly ttlMs: number
  /**
   * Aborts with `LeaseLostError` no later than the deadline, whatever the network does; never after `release()` was called.
   * After a stall of the event loop it follows in the next timer phase: code that must not act on a stale belief asks
   * `assertHeld()` first.
   */
  readonly signal: AbortSignal
  readonly guarantee: LeaseGuarantee
  /** Milliseconds that are left, 0 once it has ended. No I/O: for hot loops. */
  remainingMs(): number
  /** @throws {LeaseLostError} `HF_LEASE_LOST` when it is not held any more. No I/O: for hot loops. */
  assertHeld(): void
  /**
   * Makes it end `ttlMs` from now. Only with `renew: false`.
   *
   * @returns what now remains, in milliseconds
   * @throws {LeaseLostError} `HF_LEASE_LOST` when it had ended; it is never a new lease
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer; the sooner of the old and the new deadline stands
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a bad `ttlMs`, or a lease that renews itself
   */
  extend(ttlMs: number): Promise<number>
  /**
   * Calls `listener` when somebody asks that this be given up (`requestRevocation`): once, also when that was before it listened, and
   * never before this method has returned. A wish: the lease is held on until it is released. The returned function removes the
   * listener; the end of the lease does too.
   *
   * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend cannot carry such wishes
   */
  onRevoke(listener: () => void): () => void
  /** Gives it back. Idempotent, never rejects, and settles by the deadline; `lost` when it had ended before. */
  release(): Promise<'released' | 'lost'>
}
