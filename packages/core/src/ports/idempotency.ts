/** What to begin. */
export interface BeginRequest {
  /** A name, 1 to 200 bytes: a tenant, an operation and the caller's key. */
  readonly key: string
  /** What the key stands for, 1 to 200 bytes: the hash of the request. */
  readonly fingerprint: string
  /** From `newOwner`, a new one for each try: makes the step repeatable. Who begins again with the same one has the same run. */
  readonly owner: string
  /** How long the run counts as alive without `renew`, in milliseconds, 100 to 86,400,000. */
  readonly leaseMs: number
  /** What to do with a run whose lease has passed: run again with a higher fence, or never again. */
  readonly onLost: 'rerun' | 'fail'
  /**
   * How long a run whose lease passed, and the fence of one that was released, are remembered, in milliseconds, 1,000 to
   * 31,536,000,000 (a year).
   */
  readonly keepMs: number
}

/** What a key is. */
export type BeginOutcome =
  /** It is the caller's to do. `fence` grows with each run of the key. */
  | { readonly kind: 'run'; readonly fence: bigint }
  /** Somebody is at it: his lease lasts for so long at most. */
  | { readonly kind: 'in-flight'; readonly leaseLeftMs: number }
  /** It was done. `failed` is as `complete` was told; `completedAtMs` is the store's wall time. */
  | { readonly kind: 'done'; readonly result: Uint8Array; readonly failed: boolean; readonly completedAtMs: number }
  /** It stands for another request, be that done, under way or lost. */
  | { readonly kind: 'conflict' }
  /** Whoever was at it is gone, and `onLost` is `fail`: nobody knows whether it was done. */
  | { readonly kind: 'lost' }

/** A run, by who began it. */
export interface RunRef {
  readonly key: string
  readonly owner: string
  readonly fence: bigint
}

/** What a run ended with. */
export interface Completion {
  /** At most `RESULT_BYTES_MAX`. */
  readonly result: Uint8Array
  readonly failed: boolean
  /** How long the result is kept, in milliseconds, 1,000 to 31,536,000,000 (a year). */
  readonly keepMs: number
}

/** The largest result that is kept, in bytes. */
export const RESULT_BYTES_MAX: number = 256 * 1024

/**
 * Runs of keys, each at most once at a time, and what they ended with. Promises:
 *
 * - I1 Of many that begin one key at once, one is told `run`. Others are told `in-flight` until it ends.
 * - I2 Only the run that holds the key completes, renews or releases it: one whose lease passed, and was begun again by another, is told `stale`,
 *   and changes nothing. One whose lease passed and that nobody has followed may still complete.
 * - I3 Fences of a key strictly increase, also when the store lost its data (as tokens of leases do).
 * - I4 Leases and keeping go by the store's clock.
 * - I5 Every step may be sent again with the same words: it changes nothing more, and is answered the same while no other step came
 *   in between.
 * - I6 What is over is not seen after its time, and leaves nothing in the store: at once, or once others have begun.
 * - I7 A result is bytes, and comes back as they were. What is too large is refused before it is sent.
 */
export interface IdempotencyStore {
  newOwner(): string
  /**
   * @throws {UnavailableError} `HF_UNAVAILABLE`; whatever was begun ends by its lease.
   * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend has no idempotency (ZooKeeper).
   */
  begin(request: BeginRequest): Promise<BeginOutcome>
  /** Moves the lease to `leaseMs` from now. */
  renew(run: RunRef, leaseMs: number): Promise<'kept' | 'stale'>
  /**
   * Ends the run with a result.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the result has more than `RESULT_BYTES_MAX` bytes; nothing was sent.
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when it was sent and not answered. It may be sent again.
   */
  complete(run: RunRef, completion: Completion): Promise<'kept' | 'stale'>
  /** Gives the key back as if it had not run: the next one runs it, with a higher fence. */
  release(run: RunRef): Promise<'released' | 'stale'>
}
