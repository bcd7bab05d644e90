import type { FencingToken, Lease, LeaseGuarantee } from '@holdfast/core'
import { LeaseLostError, onAbort } from '@holdfast/core'
import { Turnstile } from './turnstile.ts'

/**
 * What may nest in a lease. It admits one nested holder at a time, so branches that run in parallel queue, and it ends with
 * its lease: whoever comes later is refused.
 */
export class Scope {
  readonly lease: Lease
  readonly #turnstile = new Turnstile()
  readonly #nested = new Set<NestedLease>()
  #hasEnded = false

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
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const error = new LeaseLostError(this.lease.resource, 'scope-ended')
    this.#turnstile.refuseAll(error)
    for (const nested of this.#nested) nested.endWith(error)
  }

  #checkOpen(): void {
    if (this.#hasEnded) throw new LeaseLostError(this.lease.resource, 'scope-ended')
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
      this.#nested.delete(nested)
      this.#turnstile.leave()
    })
    this.#nested.add(nested)
    return nested
  }
}

const scopes = new WeakMap<Lease, Scope>()

/** The scope of a lease: one, whoever asks. */
export function scopeOf(lease: Lease): Scope {
  let scope = scopes.get(lease)
  if (scope === undefined) {
    scope = new Scope(lease)
    scopes.set(lease, scope)
  }
  return scope
}

/** Stands for the outer lease inside a scope: the same token and deadline, but releasing it only leaves the scope. */
export class NestedLease implements Lease {
  readonly #outer: Lease
  readonly #leave: () => void
  #ended: LeaseLostError | undefined
  #release: Promise<'released' | 'lost'> | undefined
  #abort: AbortController | undefined
  #stopListening: () => void = () => {}

  constructor(outer: Lease, leave: () => void) {
    this.#outer = outer
    this.#leave = leave
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
    return this.#outer.guarantee
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController()
      this.#abort = abort
      if (this.#ended !== undefined) abort.abort(this.#ended)
      else if (this.#release === undefined) this.#stopListening = onAbort(this.#outer.signal, (reason) => abort.abort(reason))
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

  extend(ttlMs: number): Promise<number> {
    return this.#outer.extend(ttlMs)
  }

  release(): Promise<'released' | 'lost'> {
    this.#release ??= this.#leaveScope()
    return this.#release
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /** For its scope: the outer lease was given back while this one was still in use. */
  endWith(error: LeaseLostError): void {
    if (this.#release !== undefined) return
    this.#ended = error
    scopes.get(this)?.end()
    this.#stopListening()
    this.#abort?.abort(error)
  }

  #leaveScope(): Promise<'released' | 'lost'> {
    const isHeld = this.remainingMs() > 0
    scopes.get(this)?.end()
    this.#stopListening()
    this.#leave()
    return Promise.resolve(isHeld ? 'released' : 'lost')
  }
}
