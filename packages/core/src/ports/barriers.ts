/** How somebody waits at a barrier. */
export interface BarrierWait {
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined
  /** Called once the store has said that it is not yet time. */
  readonly waiting?: (() => void) | undefined
}

/** Who wants to enter a double barrier. */
export interface PartyRequest {
  readonly barrier: string
  /** How many have to be in before anybody goes on. */
  readonly parties: number
  /** How long it still counts as in after its last sign of life. A session store serves its session's. @default the store's */
  readonly ttlMs?: number | undefined
  /** A `LeaseMeta` as JSON text: for people who look into the store. */
  readonly meta: string
}

/** One party that is in a double barrier. */
export interface Membership {
  /**
   * Leaves, and resolves once everybody who was in when it was called has left. The party itself counts as gone in any case, also
   * when the waiting is aborted or fails.
   */
  leave(wait?: BarrierWait): Promise<void>
}

/**
 * Barriers: places where processes wait for each other. These are the promises; `barrierConformance` of `@holdfast/core/testing`
 * checks them.
 *
 * - **B1** A barrier stays shut, also without whoever shut it, until it is opened. Both are idempotent.
 * - **B2** Who waits at a barrier goes on once it has been open since, also when it was shut again at once; nobody before.
 * - **B3** `enter` resolves for everybody once `parties` are in at the same time, and for nobody before. Who comes while others of
 *   them are still in joins them.
 * - **B4** `leave` resolves once everybody who was in when it was called has left, and the double barrier can then be used again.
 * - **B5** After an aborted or failed `enter` nothing of it remains, at worst for one TTL or session. Who falls silent counts as gone
 *   after his TTL or session, and up to 2 s; he is not in again before he enters again.
 *
 * Waiting outlasts outages of the store. Abort rejects with the signal's reason; `RefusedError` (`HF_REFUSED`) is the server's no,
 * `ClosedError` (`HF_CLOSED`) comes once the backend is closed; what does not wait rejects with `UnavailableError`
 * (`HF_UNAVAILABLE`) when the store does not answer.
 */
export interface BarrierStore {
  shut(barrier: string, signal?: AbortSignal): Promise<void>
  open(barrier: string, signal?: AbortSignal): Promise<void>
  isShut(barrier: string, signal?: AbortSignal): Promise<boolean>
  untilOpen(barrier: string, wait?: BarrierWait): Promise<void>
  enter(request: PartyRequest, wait?: BarrierWait): Promise<Membership>
}
