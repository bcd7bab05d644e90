import type { Backend, Guard, Lease } from '@holdfast/core'
import {
  ACQUIRE_OPTION_NAMES,
  InvalidArgumentError,
  WaitTimeoutError,
  checkAcquireOptions,
  checkBoolean,
  checkName,
  inspectAs,
  show,
} from '@holdfast/core'
import type { LockInfo, LockOptions, UsingOptions } from './lockable.ts'
import type { MultiLease } from './multi-lease.ts'
import { HeldTogether, releaseAll } from './multi-lease.ts'
import type { NamedLock } from './named-lock.ts'
import { Taking } from './taking.ts'
import { checkWork } from './work.ts'

/** How many names one multi-lock may have. */
const NAMES_MAX = 100

/** How many locks are acquired together. `waitMs` is for all of them, once. */
export interface MultiLockOptions extends Omit<LockOptions, 'guard' | 'within' | 'lockAtLeastForMs'> {
  /** Guards by the name of the lock: each is raised to the token of that lock's lease. @default none */
  readonly guards?: Readonly<Record<string, Guard>>
}

/** How many locks are held around some work. */
export interface MultiUsingOptions extends MultiLockOptions, Pick<UsingOptions, 'reentrant'> {}

/**
 * The locks of many names, taken together: all or none. They are taken one after the other in the order of their bytes, whoever asks
 * in whichever order, so that two who want some of the same never wait for each other for ever.
 */
export interface MultiLock {
  /** Sorted, each once. */
  readonly names: readonly string[]
  /**
   * Waits for its turn at each lock and takes them all. What was taken is given back when one cannot be had, when one that was taken is
   * lost meanwhile, or when `signal` aborts; that goes on in the background.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when others held one of them (its `resource`) at the end of `waitMs`
   * @throws {LeaseLostError} `HF_LEASE_LOST` when one was lost while it waited for another
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the backend did not answer in time
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for options that cannot work, before anything is sent
   */
  acquire(options?: MultiLockOptions): Promise<MultiLease>
  /** As `acquire`, but answers undefined when one of them is held by another. `waitMs` is 0 here unless it is given. */
  tryAcquire(options?: MultiLockOptions): Promise<MultiLease | undefined>
  /** Holds all while `work` runs, and releases them whatever happens. Settles as `work` does. */
  using<T>(work: (lease: MultiLease) => T | Promise<T>, options?: MultiUsingOptions): Promise<T>
  /** One for each name, in their order; not of one moment. */
  inspect(): Promise<readonly LockInfo[]>
  /** Asks the holders of all of them: see `Lockable.requestRevocation`. */
  requestRevocation(): Promise<number>
}

/** What a multi-lock is made from. */
export interface MultiLockParts {
  readonly backend: Backend
  readonly names: readonly string[]
  readonly mutexOf: (name: string) => NamedLock
  /** For those who name no `waitMs`. */
  readonly waitMs: number | undefined
  /** Whether each lock is taken inside of the one before, for those who follow the asynchronous context. */
  readonly isNested: boolean
}

const KNOWN: ReadonlySet<string> = new Set([
  ...ACQUIRE_OPTION_NAMES.filter(name => name !== 'guard' && name !== 'lockAtLeastForMs'),
  'guards',
])
const USING_KNOWN: ReadonlySet<string> = new Set([...KNOWN, 'reentrant'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for names that are none, and for none or too many of them. */
export function multiLock(parts: MultiLockParts): MultiLock {
  return new SortedLocks(parts)
}

class SortedLocks implements MultiLock {
  readonly names: readonly string[]
  readonly #backend: Backend
  readonly #mutexes: readonly NamedLock[]
  readonly #waitMs: number | undefined
  readonly #isNested: boolean

  static {
    inspectAs(this.prototype, 'MultiLock', lock => ({ names: lock.names, backend: lock.#backend.kind }))
  }

  constructor({ backend, names, mutexOf, waitMs, isNested }: MultiLockParts) {
    this.names = sortedNames(names)
    this.#backend = backend
    this.#mutexes = this.names.map(mutexOf)
    this.#waitMs = waitMs
    this.#isNested = isNested
  }

  async acquire(options?: MultiLockOptions): Promise<MultiLease> {
    const taking = this.#taking(options, KNOWN)
    const leases: Lease[] = []
    try {
      for (const [index, mutex] of this.#mutexes.entries()) {
        const lease = await mutex.acquire(taking.optionsFor(this.names[index] ?? ''))
        leases.push(lease)
        taking.took(lease)
      }
      return this.#together(leases)
    } catch (error) {
      void releaseAll(leases)
      throw taking.ofAll(error)
    } finally {
      taking.end()
    }
  }

  async tryAcquire(options?: MultiLockOptions): Promise<MultiLease | undefined> {
    // What is no object would be copied to an empty one.
    if (options !== undefined) checkAcquireOptions(options, KNOWN)
    try {
      return await this.acquire({ ...options, waitMs: options?.waitMs ?? 0 })
    } catch (error) {
      if (error instanceof WaitTimeoutError) return undefined
      throw error
    }
  }

  async using<T>(work: (lease: MultiLease) => T | Promise<T>, options?: MultiUsingOptions): Promise<T> {
    checkWork(work, options)
    if (options !== undefined) checkAcquireOptions(options, USING_KNOWN)
    const { reentrant, ...rest } = options ?? {}
    checkBoolean('reentrant', reentrant)
    if (reentrant === true || this.#isNested) return await this.#usingNested(work, options)
    const lease = await this.acquire(rest)
    try {
      return await work(lease)
    } finally {
      await lease.release()
    }
  }

  inspect(): Promise<readonly LockInfo[]> {
    return Promise.all(this.#mutexes.map(mutex => mutex.inspect()))
  }

  async requestRevocation(): Promise<number> {
    let asked = 0
    for (const count of await Promise.all(this.#mutexes.map(mutex => mutex.requestRevocation()))) asked += count
    return asked
  }

  // Each lock is held around the next, so that each is a scope of its own.
  async #usingNested<T>(
    work: (lease: MultiLease) => T | Promise<T>,
    options: MultiUsingOptions | undefined,
  ): Promise<T> {
    const taking = this.#taking(options, USING_KNOWN)
    let isWorking = false
    const within = async (leases: readonly Lease[]): Promise<T> => {
      const mutex = this.#mutexes[leases.length]
      if (mutex === undefined) {
        taking.end()
        const together = this.#together(leases)
        isWorking = true
        return await work(together)
      }
      const inside = (lease: Lease): Promise<T> => {
        taking.took(lease)
        return within([...leases, lease])
      }
      return await mutex.using(inside, taking.optionsFor(this.names[leases.length] ?? ''))
    }
    try {
      return await within([])
    } catch (error) {
      throw isWorking ? error : taking.ofAll(error)
    } finally {
      taking.end()
    }
  }

  #together(leases: readonly Lease[]): MultiLease {
    const together = new HeldTogether(leases)
    together.assertHeld()
    return together
  }

  #taking(options: MultiUsingOptions = {}, known: ReadonlySet<string>): Taking {
    checkAcquireOptions(options, known)
    checkGuards(options.guards, this.names)
    const waitMs = options.waitMs ?? this.#waitMs
    return new Taking(this.#backend, { ...options, ...(waitMs === undefined ? {} : { waitMs }) })
  }
}

function checkGuards(guards: unknown, names: readonly string[]): void {
  if (guards === undefined) return
  if (typeof guards !== 'object' || guards === null) {
    throw new InvalidArgumentError('guards', `Expected \`guards\` to be guards by name, got ${show(guards)}.`)
  }
  for (const [name, guard] of Object.entries(guards)) {
    if (!names.includes(name)) {
      throw new InvalidArgumentError('guards', `Expected \`guards\` to be for names of the lock, got ${show(name)}.`)
    }
    checkAcquireOptions({ guard: guard as Guard })
  }
}

function sortedNames(names: readonly string[]): readonly string[] {
  if (!Array.isArray(names)) {
    throw new InvalidArgumentError('names', `Expected \`names\` to be an array of names, got ${show(names)}.`)
  }
  const distinct = new Set<string>()
  for (const name of names as readonly unknown[]) {
    checkName('names', name)
    distinct.add(name)
  }
  if (distinct.size === 0 || distinct.size > NAMES_MAX) {
    throw new InvalidArgumentError('names', `Expected \`names\` to be 1 to ${NAMES_MAX} names, got ${distinct.size}.`)
  }
  return Object.freeze([...distinct].sort(byCodePoints))
}

// UTF-8 is in the order of its code points. UTF-16, and with it `<`, is in another one beyond U+FFFF, and other languages take locks too.
function byCodePoints(a: string, b: string): number {
  const left = Array.from(a)
  const right = Array.from(b)
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at += 1) {
    const distance = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0)
    if (distance !== 0) return distance
  }
  return left.length - right.length
}
