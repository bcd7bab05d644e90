import type { AcquireOptions, Lease, LeaseInfo } from '@holdfast/core'

/** Who holds a lock and who waits for it. For people: never decide by it. */
export type LockInfo = LeaseInfo

/** How a lock is acquired. */
export interface LockOptions extends AcquireOptions {
  /**
   * A lease on the same lock that the caller already has: the new one nests in it, with the same token, and releasing it does
   * not free the outer one. One nested holder at a time; others queue. @default none
   */
  readonly within?: Lease
}

/** How a lock is held around some work. */
export interface UsingOptions extends AcquireOptions {
  /**
   * Whether work that runs inside may take the same lock again with `reentrant: true`, and whether this call may itself be such
   * a nested one. Follows the asynchronous context, so it costs something; nobody who does not ask pays. @default false
   */
  readonly reentrant?: boolean
}

/** Everything that can be locked. */
export interface Lockable {
  /**
   * Waits for its turn and takes the lock.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when others held it for all of `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the backend did not answer in time
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for options that cannot work, before anything is sent
   * @throws {ClosedError} `HF_CLOSED` once the backend is closed
   */
  acquire(options?: LockOptions): Promise<Lease>
  /** As `acquire`, but answers undefined when it is held by another. `waitMs` is 0 here unless it is given. */
  tryAcquire(options?: LockOptions): Promise<Lease | undefined>
  /**
   * Holds the lock while `work` runs, and releases it whatever happens. Settles as `work` does: neither its value nor its
   * error is ever masked by the release, and a lease that is lost on the way shows in `lease.signal`.
   */
  using<T>(work: (lease: Lease) => T | Promise<T>, options?: UsingOptions): Promise<T>
  inspect(): Promise<LockInfo>
  /**
   * Asks all who hold the lock now to give it up (they hear of it by `lease.onRevoke`). A wish: nothing is taken from them.
   *
   * @returns how many were asked
   * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend cannot carry such wishes
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the backend did not answer in time: some may have been asked
   */
  requestRevocation(): Promise<number>
}
