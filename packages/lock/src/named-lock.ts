import type { AcquireOptions, Backend, Lease, LeaseMode } from '@holdfast/core'
import {
  ACQUIRE_OPTION_NAMES,
  InvalidArgumentError,
  UnsupportedError,
  acquireLease,
  checkAcquireOptions,
  checkBoolean,
  checkName,
  inspectAs,
  keeperOf,
  kindOf,
  ofForeignBackend,
  requestRevocation,
  show,
  tryAcquireLease,
  withinWait,
} from '@holdfast/core'
import type { LockInfo, LockOptions, Lockable, UsingOptions } from './lockable.ts'
import { currentScope, runInScope } from './reentrancy.ts'
import type { Scope } from './scope.ts'
import { outermost, rootWishOf, scopeOf } from './scope.ts'
import type { WaitCycles } from './wait-cycles.ts'
import { waitedFor } from './waited-in-vain.ts'
import { checkWork } from './work.ts'

const IN_TURN = 'held by another who nests in the same lease'
const LOCK_OPTION_NAMES: ReadonlySet<string> = new Set([...ACQUIRE_OPTION_NAMES, 'within'])
const USING_OPTION_NAMES: ReadonlySet<string> = new Set([...ACQUIRE_OPTION_NAMES, 'reentrant'])

/** What a lock is made from. */
export interface NamedLockParts {
  readonly backend: Backend
  readonly name: string
  /** Beside whom it is held; undefined = alone. */
  readonly mode?: LeaseMode
  readonly defaults: AcquireOptions
  /** Who is told of its waits. */
  readonly cycles: WaitCycles | undefined
}

/** A lock by name, served in order of asking: held by one at a time, or beside others as its mode says. */
export class NamedLock implements Lockable {
  readonly #backend: Backend
  readonly #name: string
  readonly #mode: LeaseMode | undefined
  readonly #defaults: AcquireOptions
  readonly #cycles: WaitCycles | undefined

  static {
    inspectAs(this.prototype, 'Lock', lock => ({
      name: lock.#name,
      mode: lock.#mode?.kind ?? 'exclusive',
      limit: lock.#mode?.kind === 'permit' ? lock.#mode.limit : undefined,
      backend: lock.#backend.kind,
    }))
  }

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the name is none (1 to 200 bytes, no control characters). */
  constructor({ backend, name, mode, defaults, cycles }: NamedLockParts) {
    checkName('name', name)
    this.#backend = backend
    this.#name = name
    this.#mode = mode
    this.#defaults = defaults
    this.#cycles = cycles
  }

  async acquire(options?: LockOptions): Promise<Lease> {
    const checked = this.#checked(options, LOCK_OPTION_NAMES)
    const scope = this.#scopeWithin(checked.within)
    return await (scope === undefined ? this.#acquire(checked) : this.#nest(scope, checked))
  }

  async tryAcquire(options?: LockOptions): Promise<Lease | undefined> {
    const checked = { ...this.#checked(options, LOCK_OPTION_NAMES), waitMs: options?.waitMs ?? 0 }
    const scope = this.#scopeWithin(checked.within)
    if (scope === undefined) return tryAcquireLease(this.#backend, this.#name, checked, this.#mode)
    return await this.#tryNest(scope, checked)
  }

  async using<T>(work: (lease: Lease) => T | Promise<T>, options?: UsingOptions): Promise<T> {
    checkWork(work, options)
    const checked = this.#checked(options, USING_OPTION_NAMES)
    checkBoolean('reentrant', checked.reentrant)
    const outer = checked.reentrant === true ? this.#currentScope() : undefined
    // Who nests waits for nobody outside.
    if (this.#cycles === undefined || outer !== undefined) return await this.#using(work, checked, outer)
    const kind = kindOf(this.#mode)
    const key = kind === 'exclusive' ? this.#name : `${this.#name} (${kind})`
    const claim = { key, isShared: this.#mode?.kind === 'read', mayWait: checked.waitMs !== 0 }
    return await this.#cycles.watch(claim, hold => this.#using(lease => hold(() => work(lease)), checked, outer))
  }

  requestRevocation(): Promise<number> {
    return requestRevocation(this.#backend, this.#name, kindOf(this.#mode))
  }

  inspect(): Promise<LockInfo> {
    return this.#backend.leases.inspect(this.#name, kindOf(this.#mode))
  }

  #checked<O extends AcquireOptions>(options: O | undefined, known: ReadonlySet<string>): O {
    if (options === undefined) return this.#defaults as O
    checkAcquireOptions(options, known)
    return optionsOver(this.#defaults, options)
  }

  #acquire(options: AcquireOptions): Promise<Lease> {
    return acquireLease(this.#backend, this.#name, options, this.#mode)
  }

  async #using<T>(work: (lease: Lease) => T | Promise<T>, options: UsingOptions, outer: Scope | undefined): Promise<T> {
    const lease = outer === undefined ? await this.#acquire(options) : await this.#nest(outer, options)
    try {
      return await (options.reentrant === true ? runInScope(this.#backend, lease, work) : work(lease))
    } finally {
      await lease.release()
    }
  }

  #scopeWithin(lease: Lease | undefined): Scope | undefined {
    if (lease === undefined) return undefined
    const wish = rootWishOf(lease)
    const isOwn = wish?.resource === this.#name && kindOf(wish.mode) === kindOf(this.#mode)
    if (!isOwn || !keeperOf(this.#backend).keeps(outermost(lease))) {
      throw new InvalidArgumentError(
        'within',
        `Expected \`within\` to be a lease on ${shownName(this.#name, this.#mode)} from the same backend, got ${shownLease(lease)}${ofForeignBackend(outermost(lease), this.#backend)}.`,
      )
    }
    this.#checkNoUpgrade(wish.mode, 'within')
    return scopeOf(lease)
  }

  #currentScope(): Scope | undefined {
    const scope = currentScope(this.#backend, this.#name, kindOf(this.#mode))
    if (scope !== undefined) this.#checkNoUpgrade(rootWishOf(scope.lease)?.mode, 'reentrant')
    return scope
  }

  // A permit whose lease is named as the semaphore has no slot, and one token for all would make those of the others stale.
  #checkFenceable(lease: Lease): void {
    if (this.#mode?.kind !== 'permit' || lease.resource !== this.#name) return
    throw new UnsupportedError(
      `The permits of ${show(this.#name)} have no slots in the ${this.#backend.kind} backend: no guard can tell them apart. Leave \`guard\` out.`,
    )
  }

  // It would wait for its own reader; and of two readers that both did, each for the other.
  #checkNoUpgrade(held: LeaseMode | undefined, argument: 'within' | 'reentrant'): void {
    if (this.#mode?.kind !== 'write' || held?.kind !== 'read') return
    throw new InvalidArgumentError(
      argument,
      `The caller reads ${show(this.#name)} and asks to write inside of that: it would wait for itself. Take \`write\` first and downgrade, or release \`read\` before.`,
    )
  }

  async #nest(scope: Scope, options: AcquireOptions): Promise<Lease> {
    const lease = await this.#tryNest(scope, options)
    if (lease === undefined) throw waitedFor({ resource: this.#name, waitMs: options.waitMs ?? 0 }, IN_TURN)
    return lease
  }

  async #tryNest(scope: Scope, options: AcquireOptions): Promise<Lease | undefined> {
    options.signal?.throwIfAborted()
    if (options.guard !== undefined) this.#checkFenceable(scope.lease)
    const free = scope.tryNest()
    if (free === undefined && options.waitMs === 0) return undefined
    const lease = free ?? (await withinWait(this.#backend.clock, options, signal => scope.nest(signal)))
    if (options.guard !== undefined) await lease?.raise(options.guard, options.signal)
    return lease
  }
}

/** What was given, and the defaults for the rest: an option that is given as undefined counts as left out. */
export function optionsOver<O extends AcquireOptions>(defaults: AcquireOptions, options: O): O {
  const merged = { ...defaults, ...options }
  for (const name of Object.keys(defaults) as (keyof AcquireOptions)[]) {
    if (merged[name] === undefined) Object.assign(merged, { [name]: defaults[name] })
  }
  return merged
}

function shownLease(value: Lease): string {
  if (typeof (value as Partial<Lease> | null)?.assertHeld !== 'function') return show(value)
  return `one on ${shownName(value.resource, rootWishOf(value)?.mode)}`
}

function shownName(name: string, mode: LeaseMode | undefined): string {
  return mode === undefined ? show(name) : `${show(name)} (${kindOf(mode)})`
}
