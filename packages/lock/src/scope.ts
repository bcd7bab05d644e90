import type { FencingToken, Guard, Lease, LeaseGuarantee, LeaseRequest } from '@holdfast/core'
import { LeaseLostError, inspectAs, onLeaseEnd, orAborted, wishOf } from '@holdfast/core'
import { Turnstile } from './turnstile.ts'

/**
 * What may nest in a lease. It admits one nested holder at a time, so branches that run in parallel queue, and it ends with
 * its lease: whoever comes later is refused.
 */
export class Scope {
  readonly lease: Lease
  readonly #turnstile = new Turnstile()
  readonly #nested = new Set<NestedLease>()
  #ended: LeaseLostError | undefined

  constructor(lease: Lease) {
    this.lease = lease
  }

  /** Waits for its turn inside the scope. */
  async nest(signal: AbortSignal | undefined): Promise<NestedLease> {
    this.#checkOpen()
    await this.#turnstile.enter(signal)
    return this.#admit()
  }

  /** Undefined when another is nested now. */
  tryNest(): NestedLease | undefined {
    this.#checkOpen()
    return this.#turnstile.tryEnter() ? this.#admit() : undefined
  }

  /** From now on nobody may act in it. */
  end(error: LeaseLostError = new LeaseLostError(this.lease.resource, 'scope-ended')): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#turnstile.refuseAll(error)
    for (const nested of this.#nested) nested.endWith(error)
  }

  #checkOpen(): void {
    if (this.#ended !== undefined) throw this.#ended
    this.lease.assertHeld()
  }

  #admit(): NestedLease {
    try {
      this.#checkOpen()
    } catch (error) {
      this.#turnstile.leave()
      throw error
    }
    const nested = new NestedLease(this.lease, () => {
      if (this.#nested.delete(nested)) this.#turnstile.leave()
    })
    this.#nested.add(nested)
    return nested
  }
}

const scopes = new WeakMap<Lease, Scope>()

/** The scope of a lease: one, whoever asks. */
export function scopeOf(lease: Lease): Scope {
  const known = scopes.get(lease)
  if (known !== undefined) return known
  const scope = new Scope(lease)
  scopes.set(lease, scope)
  onLeaseEnd(lease, error => scope.end(error))
  return scope
}

/** Stands for the outer lease inside a scope: the same token and deadline, but releasing it only leaves the scope. */
export class NestedLease implements Lease {
  readonly #outer: Lease
  readonly #leave: () => void
  #ended: LeaseLostError | undefined
  #release: Promise<'released' | 'lost'> | undefined
  #abort: AbortController | undefined
  readonly #stopListening = new Set<() => void>()
  #isFenced = false

  static {
    inspectAs(this.prototype, 'Lease (nested)', lease => ({
      resource: lease.resource,
      state: lease.#state(),
      reason: lease.#ended?.reason,
      remainingMs: Math.floor(lease.remainingMs()),
      guarantee: lease.guarantee,
      within: lease.#outer,
    }))
  }

  constructor(outer: Lease, leave: () => void) {
    this.#outer = outer
    this.#leave = leave
  }

  get outer(): Lease {
    return this.#outer
  }

  get resource(): string {
    return this.#outer.resource
  }

  get token(): FencingToken {
    if (this.#release === undefined) this.assertHeld()
    return this.#outer.token
  }

  get ttlMs(): number {
    return this.#outer.ttlMs
  }

  get guarantee(): LeaseGuarantee {
    return this.#isFenced ? 'fenced' : this.#outer.guarantee
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      // Asking for the outer one ends this one as well, should it have lapsed unseen.
      if (this.#release === undefined && this.#ended === undefined) void this.#outer.signal
      if (this.#ended !== undefined) this.#abort.abort(this.#ended)
    }
    return this.#abort.signal
  }

  remainingMs(): number {
    return this.#ended !== undefined || this.#release !== undefined ? 0 : this.#outer.remainingMs()
  }

  assertHeld(): void {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#release !== undefined) throw new LeaseLostError(this.resource, 'released')
    this.#outer.assertHeld()
  }

  async extend(ttlMs: number): Promise<number> {
    this.assertHeld()
    return await this.#outer.extend(ttlMs)
  }

  onRevoke(listener: () => void): () => void {
    if (this.#ended !== undefined || this.#release !== undefined) return () => {}
    const stopOuter = this.#outer.onRevoke(listener)
    const stop = (): void => {
      this.#stopListening.delete(stop)
      stopOuter()
    }
    this.#stopListening.add(stop)
    return stop
  }

  release(): Promise<'released' | 'lost'> {
    this.#release ??= this.#leaveScope()
    return this.#release
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /** Raises a guard to its token before it is handed out, and gives it back when the guard says no, or nothing for too long. */
  async raise(guard: Guard, signal: AbortSignal | undefined): Promise<void> {
    try {
      await orAborted(orAborted(Promise.resolve(guard.raise(this)), this.signal), signal)
      this.assertHeld()
      this.#isFenced = true
    } catch (error) {
      void this.release()
      throw error
    }
  }

  /** For its scope: the outer lease ended while this one was still in use. */
  endWith(error: LeaseLostError): void {
    if (this.#release !== undefined || this.#ended !== undefined) return
    this.#ended = error
    this.#stopHearing()
    scopes.get(this)?.end(error)
    this.#abort?.abort(error)
  }

  #state(): 'held' | 'released' | 'lost' {
    if (this.#ended === undefined && this.#release !== undefined) return 'released'
    return this.remainingMs() > 0 ? 'held' : 'lost'
  }

  #stopHearing(): void {
    for (const stop of [...this.#stopListening]) stop()
  }

  #leaveScope(): Promise<'released' | 'lost'> {
    const isHeld = this.remainingMs() > 0
    this.#stopHearing()
    scopes.get(this)?.end(new LeaseLostError(this.resource, 'released'))
    this.#leave()
    return Promise.resolve(isHeld ? 'released' : 'lost')
  }
}

/** The lease that the store granted, however deep another is nested in it. */
export function outermost(lease: Lease): Lease {
  let outer = lease
  while (outer instanceof NestedLease) outer = outer.outer
  return outer
}

/** What the store was asked for when it granted a lease, however deep this one is nested in it. */
export function rootWishOf(lease: Lease): Pick<LeaseRequest, 'resource' | 'mode'> | undefined {
  return wishOf(outermost(lease))
}
