import { createHash } from 'node:crypto'
import type { Backend, Lease } from '@holdfast/core'
import { acquireLease, tryAcquireLease } from '@holdfast/core'
import type { Scope } from '../release/scope.ts'

/** A holder that was killed keeps the others waiting for so long. Shorter would end the turn of one that is busy for a moment. */
const TTL_MS = 10_000

/** How many instances may apply at once, and who this one is. */
export interface FleetLimitOptions {
  readonly backend: Backend
  readonly scope: Scope
  readonly slot: string
  /** At least 1. */
  readonly limit: number
}

/**
 * Lets at most so many instances of a scope apply at once: as many leases, each of which lets one in. Everybody begins at a place of
 * his own, so that they spread; who finds all of them taken waits in line at his own.
 */
export class FleetLimit {
  readonly #backend: Backend
  readonly #places: readonly string[]
  readonly #ttlMs: number | undefined

  /** @throws {UnsupportedError} `HF_UNSUPPORTED` when the backend has no leases */
  constructor({ backend, scope, slot, limit }: FleetLimitOptions) {
    // The cheapest thing that a backend without leases refuses.
    backend.leases.newRequestId()
    this.#backend = backend
    // Leases of a session all last as long as it does.
    this.#ttlMs = backend.leases.renewal === 'each' ? TTL_MS : undefined
    const first = createHash('sha256').update(slot).digest().readUInt32BE(0) % limit
    this.#places = Array.from({ length: limit }, (_, index) => {
      return `config-apply:${scope.app}:${scope.env}:${(first + index) % limit}`
    })
  }

  /** Waits its turn. Rejects when the signal aborts, or the store does not answer. */
  async enter(signal: AbortSignal): Promise<Lease> {
    const options = { signal, ...(this.#ttlMs !== undefined && { ttlMs: this.#ttlMs }) }
    for (const place of this.#places) {
      const lease = await tryAcquireLease(this.#backend, place, { ...options, waitMs: 0 })
      if (lease !== undefined) return lease
    }
    return await acquireLease(this.#backend, this.#places[0] as string, options)
  }
}
