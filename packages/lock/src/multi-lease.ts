import type { Lease, LeaseGuarantee } from '@holdfast/core'
import { InvalidArgumentError, inspectAs, onAbort, show } from '@holdfast/core'

/**
 * Many leases, held together. It has no token, on purpose: each resource is guarded by the token of its own lease, and that of one
 * name says nothing of another.
 */
export interface MultiLease extends AsyncDisposable {
  /** One for each name, in the order in which they were taken. */
  readonly leases: readonly Lease[]
  /**
   * The lease of one name.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a name that is not among them
   */
  of(name: string): Lease
  /** Aborts with the `LeaseLostError` of the first that is lost: see `Lease.signal`. */
  readonly signal: AbortSignal
  /** The weakest of all. */
  readonly guarantee: LeaseGuarantee
  /** The least of all, 0 once one has ended. No I/O. */
  remainingMs(): number
  /** @throws {LeaseLostError} `HF_LEASE_LOST` when one of them is not held any more. No I/O. */
  assertHeld(): void
  /**
   * Makes all end `ttlMs` from now: see `Lease.extend`. When it rejects, some may have been extended.
   *
   * @returns the least that now remains, in milliseconds
   */
  extend(ttlMs: number): Promise<number>
  /** Calls `listener` once when somebody asks for any of them: see `Lease.onRevoke`. */
  onRevoke(listener: () => void): () => void
  /** Gives all back, the last first. Idempotent, never rejects; `lost` when one had ended before. */
  release(): Promise<'released' | 'lost'>
}

const WEAKEST_FIRST: readonly LeaseGuarantee[] = Object.freeze(['advisory', 'lease', 'fenced'])

/** What `MultiLock` hands out. */
export class HeldTogether implements MultiLease {
  readonly leases: readonly Lease[]
  #abort: AbortController | undefined
  #release: Promise<'released' | 'lost'> | undefined

  static {
    inspectAs(this.prototype, 'MultiLease', lease => ({
      remainingMs: Math.floor(lease.remainingMs()),
      guarantee: lease.guarantee,
      leases: lease.leases,
    }))
  }

  constructor(leases: readonly Lease[]) {
    this.leases = leases
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController()
      this.#abort = abort
      for (const lease of this.leases) onAbort(lease.signal, reason => abort.abort(reason))
    }
    return this.#abort.signal
  }

  get guarantee(): LeaseGuarantee {
    const all = this.leases.map(({ guarantee }) => guarantee)
    return WEAKEST_FIRST.find(guarantee => all.includes(guarantee)) ?? 'advisory'
  }

  of(name: string): Lease {
    const lease = this.leases.find(({ resource }) => resource === name)
    if (lease !== undefined) return lease
    const names = this.leases.map(({ resource }) => show(resource)).join(', ')
    throw new InvalidArgumentError('name', `Expected \`name\` to be one of ${names}, got ${show(name)}.`)
  }

  remainingMs(): number {
    return Math.min(...this.leases.map(lease => lease.remainingMs()))
  }

  assertHeld(): void {
    for (const lease of this.leases) lease.assertHeld()
  }

  async extend(ttlMs: number): Promise<number> {
    return Math.min(...(await Promise.all(this.leases.map(lease => lease.extend(ttlMs)))))
  }

  onRevoke(listener: () => void): () => void {
    let isOver = false
    const once = (): unknown => {
      if (isOver) return undefined
      isOver = true
      // What it returns is the lease's to look at.
      return listener() as unknown
    }
    const stops = this.leases.map(lease => lease.onRevoke(once))
    return () => {
      isOver = true
      for (const stop of stops) stop()
    }
  }

  release(): Promise<'released' | 'lost'> {
    this.#release ??= releaseAll(this.leases)
    return this.#release
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

/** Gives all back, the last first, without waiting in between. */
export async function releaseAll(leases: readonly Lease[]): Promise<'released' | 'lost'> {
  const outcomes = await Promise.all([...leases].reverse().map(lease => lease.release()))
  return outcomes.includes('lost') ? 'lost' : 'released'
}
