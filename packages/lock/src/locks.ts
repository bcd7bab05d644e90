import type { AcquireOptions, Backend, EventSource, Lease, LeaseEvents } from '@holdfast/core'
import { InvalidArgumentError, checkAcquireOptions, encodeMeta, keeperOf, show } from '@holdfast/core'
import type { LockInfo, LockOptions, Lockable, UsingOptions } from './lockable.ts'
import { Mutex } from './mutex.ts'

/** How locks are made. What `acquire` can be given, but `signal` and `guard`, can be given here as the default for all. */
export interface LocksOptions extends Pick<AcquireOptions, 'ttlMs' | 'waitMs' | 'renew' | 'holdMsMax' | 'meta'> {
  /** Where the locks are kept. It is not closed with them. */
  readonly backend: Backend
}

/** Locks by name, in one backend. */
export interface Locks {
  /** What happens to the leases that this process holds through the backend. */
  readonly events: EventSource<LeaseEvents>
  /** The lock of that name. Cheap: make it when you need it, or keep it. */
  mutex(name: string): Lockable
  /** Short for `mutex(name).acquire(options)`. */
  acquire(name: string, options?: LockOptions): Promise<Lease>
  /** Short for `mutex(name).tryAcquire(options)`. */
  tryAcquire(name: string, options?: LockOptions): Promise<Lease | undefined>
  /** Short for `mutex(name).using(work, options)`. */
  using<T>(name: string, work: (lease: Lease) => T | Promise<T>, options?: UsingOptions): Promise<T>
  /** Short for `mutex(name).inspect()`. */
  inspect(name: string): Promise<LockInfo>
}

const KNOWN: ReadonlySet<string> = new Set(['ttlMs', 'waitMs', 'renew', 'holdMsMax', 'meta'])

/**
 * Makes locks. No I/O: the first `acquire` connects.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function createLocks(options: LocksOptions): Locks {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', `Expected createLocks to be given \`{ backend }\`, got ${show(options)}.`)
  }
  const { backend, ...defaults } = options
  if (typeof backend?.leases?.grant !== 'function') {
    throw new InvalidArgumentError(
      'backend',
      `Expected \`backend\` to be a Backend (memoryBackend(), redisBackend(), …), got ${show(backend)}.`,
    )
  }
  checkAcquireOptions(defaults, KNOWN)
  encodeMeta(defaults.meta)
  const mutex = (name: string): Mutex => new Mutex(backend, name, defaults)
  return {
    events: keeperOf(backend).events,
    mutex,
    acquire: (name, acquireOptions) => rejecting(() => mutex(name).acquire(acquireOptions)),
    tryAcquire: (name, acquireOptions) => rejecting(() => mutex(name).tryAcquire(acquireOptions)),
    using: (name, work, usingOptions) => rejecting(() => mutex(name).using(work, usingOptions)),
    inspect: name => rejecting(() => mutex(name).inspect()),
  }
}

// A bad name rejects, as every other failure does.
function rejecting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work()
  } catch (error) {
    return Promise.reject(error)
  }
}
