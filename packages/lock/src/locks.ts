import type { AcquireOptions, Backend, EventSource, Lease } from '@holdfast/core'
import {
  InvalidArgumentError,
  checkAcquireOptions,
  checkBoolean,
  checkKeys,
  encodeMeta,
  inspectAs,
  keeperOf,
  show,
} from '@holdfast/core'
import type { Barrier } from './barrier.ts'
import { NamedBarrier } from './barrier.ts'
import type { DoubleBarrier, DoubleBarrierOptions } from './double-barrier.ts'
import { NamedDoubleBarrier } from './double-barrier.ts'
import type { ElectionOptions } from './election-options.ts'
import type { Election } from './election.ts'
import { NamedElection } from './election.ts'
import type { Latch, LatchOptions } from './latch.ts'
import { NamedLatch } from './latch.ts'
import type { LockEvents } from './lock-events.ts'
import { eventsOf } from './lock-events.ts'
import type { LockInfo, LockOptions, Lockable, UsingOptions } from './lockable.ts'
import type { MultiLock } from './multi-lock.ts'
import { multiLock } from './multi-lock.ts'
import { NamedLock } from './named-lock.ts'
import type { ReadWriteLock } from './read-write-lock.ts'
import { readWriteLock } from './read-write-lock.ts'
import { currentScope } from './reentrancy.ts'
import type { SemaphoreOptions } from './semaphore.ts'
import { semaphore } from './semaphore.ts'
import { waitCyclesOf } from './wait-cycles.ts'

/** How locks are made. What `acquire` can be given, but what is for one call only, can be given here as the default for all. */
export interface LocksOptions extends Pick<
  AcquireOptions,
  'ttlMs' | 'waitMs' | 'renew' | 'holdMsMax' | 'lockDelayMs' | 'meta'
> {
  /** Where the locks are kept. It is not closed with them. */
  readonly backend: Backend
  /**
   * Whether to look for waits that come back to themselves: a `using` inside of another waits for a lock whose holder waits, over
   * however many others, for the outer one. It is told by the event `waitCycle`, and once a cycle by a warning of the process. It sees
   * the `using` calls of this process on this backend (also those of other `createLocks` with this option), and follows the
   * asynchronous context, which before Node 24 makes every await slower. It breaks nothing.
   *
   * @default false
   */
  readonly warnOnWaitCycles?: boolean
}

/** Locks by name, in one backend. */
export interface Locks {
  /** What happens to the leases that this process holds through the backend. */
  readonly events: EventSource<LockEvents>
  /** The lock of that name. Cheap: make it when you need it, or keep it. */
  mutex(name: string): Lockable
  /** The read-write lock of that name: many read, or one writes. It has nothing to do with the mutex of that name. */
  readWrite(name: string): ReadWriteLock
  /**
   * The semaphore of that name: up to `limit` hold it at a time, each a permit with a slot of its own. The names of semaphores have 193
   * bytes at most.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
   */
  semaphore(name: string, options: SemaphoreOptions): Lockable
  /**
   * The locks of up to 100 names, taken together: all or none. A name that is given twice counts once.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
   */
  all(names: readonly string[]): MultiLock
  /**
   * A candidate of the election of that name, or somebody who only observes it. Names of elections, barriers and latches have 180
   * bytes at most.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
   */
  election(name: string, options?: ElectionOptions): Election
  /** The barrier of that name: shut, it stops whoever comes. On ZooKeeper no lock may have its name. */
  barrier(name: string): Barrier
  /** One party of the double barrier of that name: all begin together and end together. On ZooKeeper no lock may have its name. */
  doubleBarrier(name: string, options: DoubleBarrierOptions): DoubleBarrier
  /** The count-down latch of that name. */
  latch(name: string, options: LatchOptions): Latch
  /** Short for `mutex(name).acquire(options)`. */
  acquire(name: string, options?: LockOptions): Promise<Lease>
  /** Short for `mutex(name).tryAcquire(options)`. */
  tryAcquire(name: string, options?: LockOptions): Promise<Lease | undefined>
  /** Short for `mutex(name).using(work, options)`. */
  using<T>(name: string, work: (lease: Lease) => T | Promise<T>, options?: UsingOptions): Promise<T>
  /** Short for `mutex(name).inspect()`. */
  inspect(name: string): Promise<LockInfo>
  /** The lease of the innermost `using(name, work, { reentrant: true })` that the running code is inside of. */
  current(name: string): Lease | undefined
}

const DEFAULT_NAMES: ReadonlySet<string> = new Set(['ttlMs', 'waitMs', 'renew', 'holdMsMax', 'lockDelayMs', 'meta'])
const KNOWN: ReadonlySet<string> = new Set(['backend', ...DEFAULT_NAMES, 'warnOnWaitCycles'])

const MAKERS = [
  { address: /^rediss?:/, maker: 'redisBackend' },
  { address: /^postgres(ql)?:/, maker: 'postgresBackend' },
]

/**
 * Makes locks. No I/O: the first `acquire` connects.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function createLocks(options: LocksOptions): Locks {
  // A promise of options, or of a backend, has none of their keys.
  if (typeof options !== 'object' || options === null || 'then' in options) {
    throw new InvalidArgumentError('options', `Expected createLocks to be given \`{ backend }\`, got ${show(options)}.`)
  }
  if (isBackend(options)) {
    throw new InvalidArgumentError(
      'options',
      'Expected createLocks to be given options, got a Backend: pass `{ backend }`.',
    )
  }
  const { backend, warnOnWaitCycles, ...defaults } = options
  if (!isBackend(backend)) {
    throw new InvalidArgumentError(
      'backend',
      `Expected \`backend\` to be a Backend (memoryBackend(), redisBackend(), …), got ${shownNoBackend(backend)}.`,
    )
  }
  checkKeys('createLocks', options, KNOWN)
  checkAcquireOptions(defaults, DEFAULT_NAMES)
  encodeMeta(defaults.meta)
  checkBoolean('warnOnWaitCycles', warnOnWaitCycles)
  const cycles = warnOnWaitCycles === true ? waitCyclesOf(backend) : undefined
  const mutex = (name: string): NamedLock => new NamedLock({ backend, name, defaults, cycles })
  const locks: Locks = {
    events: eventsOf(keeperOf(backend).events, cycles?.events),
    mutex: (...given) => {
      checkNameAlone('mutex', given)
      return mutex(given[0])
    },
    readWrite: (...given) => {
      checkNameAlone('readWrite', given)
      return readWriteLock({ backend, name: given[0], defaults, cycles })
    },
    semaphore: (name, semaphoreOptions) => semaphore({ backend, name, defaults }, semaphoreOptions),
    all: names =>
      multiLock({ backend, names, mutexOf: mutex, waitMs: defaults.waitMs, isNested: cycles !== undefined }),
    election: (name, electionOptions) => new NamedElection({ backend, name, defaults }, electionOptions),
    barrier: name => new NamedBarrier(backend, name),
    doubleBarrier: (name, barrierOptions) => new NamedDoubleBarrier(backend, name, barrierOptions),
    latch: (name, latchOptions) => new NamedLatch(backend, name, latchOptions),
    acquire: (name, acquireOptions) => rejecting(() => mutex(name).acquire(acquireOptions)),
    tryAcquire: (name, acquireOptions) => rejecting(() => mutex(name).tryAcquire(acquireOptions)),
    using: (name, work, usingOptions) => rejecting(() => mutex(name).using(work, usingOptions)),
    inspect: name => rejecting(() => mutex(name).inspect()),
    current: name => currentScope(backend, name)?.lease,
  }
  // What `meta` says is for whoever may look into the store.
  inspectAs(locks, 'Locks', () => ({ backend: backend.kind, ...defaults, meta: undefined }))
  return locks
}

function isBackend(value: unknown): boolean {
  const given = value as Partial<Backend> | null | undefined
  return typeof given?.leases?.grant === 'function'
}

// What a backend is made of, most often.
function shownNoBackend(value: unknown): string {
  const given = value as Readonly<Record<string, unknown>> | null | undefined
  if (typeof given?.['evalsha'] === 'function') return 'a Redis client: pass `redisBackend({ client })`'
  if (typeof given?.['query'] === 'function' && 'Client' in given)
    return 'a Pool of pg: pass `postgresBackend({ pool })`'
  const maker = typeof value === 'string' ? MAKERS.find(({ address }) => address.test(value))?.maker : undefined
  return maker === undefined ? show(value) : `${show(value)}: pass \`${maker}({ url })\``
}

// Options given here would be dropped in silence. `names.map(locks.mutex)` gives three arguments, and means nothing by them.
function checkNameAlone(method: string, given: readonly unknown[]): void {
  if (given.length !== 2 || given[1] === undefined) return
  throw new InvalidArgumentError(
    method,
    `Expected ${method} to be given a name alone, got ${show(given[1])} after it: options go to acquire and using, or to createLocks.`,
  )
}

// A bad name rejects, as every other failure does.
function rejecting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work()
  } catch (error) {
    return Promise.reject(error)
  }
}
