import type { Backend, Guard, Lease } from '@holdfast/core'
import type { Locks } from '@holdfast/lock'
import { createLocks } from '@holdfast/lock'
import type { Contender, Held, Wish } from './contender.ts'
import type { SessionTap } from './session-tap.ts'
import { tappedBackend } from './tapped-leases.ts'

/** Our own lock. */
export class HoldfastContender implements Contender {
  readonly #backend: Backend
  readonly #locks: Locks
  readonly #guard: Guard
  readonly #sessionTap: SessionTap | undefined
  #provenAtMs = 0

  constructor(backend: Backend, guard: Guard, sessionTap?: SessionTap) {
    // A run that looks at proofs has one lease a client.
    this.#backend = tappedBackend(backend, (_requestId, sentAtMs) => {
      this.#provenAtMs = Math.max(this.#provenAtMs, sentAtMs)
    })
    this.#locks = createLocks({ backend: this.#backend })
    this.#guard = guard
    this.#sessionTap = sessionTap
  }

  async acquire({ resource, ttlMs, waitMs, isGuarded, signal }: Wish): Promise<Held | undefined> {
    const lease = await this.#locks.tryAcquire(resource, {
      waitMs,
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(signal === undefined ? {} : { signal }),
      ...(isGuarded ? { guard: this.#guard } : {}),
    })
    return lease === undefined ? undefined : heldOf(lease, () => this.#sessionTap?.provenAtMs ?? this.#provenAtMs)
  }

  ready(): Promise<void> {
    return this.#backend.ready({ timeoutMs: 10_000 })
  }

  async close(): Promise<void> {
    this.#sessionTap?.close()
    await this.#backend.close()
  }
}

function heldOf(lease: Lease, provenAtMs: () => number): Held {
  return {
    resource: lease.resource,
    token: lease.token.value,
    ttlMs: lease.ttlMs,
    guarantee: lease.guarantee,
    remainingMs: () => lease.remainingMs(),
    provenAtMs,
    assertHeld: () => lease.assertHeld(),
    canReadToken: () => {
      try {
        return lease.token.value >= 0n
      } catch {
        return false
      }
    },
    hasSignalled: () => lease.signal.aborted,
    onLost: listener => lease.signal.addEventListener('abort', listener, { once: true }),
    release: async () => void (await lease.release()),
  }
}
