import type { Backend } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { InvalidArgumentError, LeaseLostError, UnavailableError } from '../errors.ts'
import { show } from '../names.ts'
import type { Grant, LeaseMode, LeaseRequest } from '../ports/leases.ts'
import { checked, requestOf } from './acquire.ts'
import { ofForeignBackend } from './foreign.ts'
import { keeperOf } from './keeper.ts'
import type { Lease } from './lease.ts'
import { HeldLease } from './lease.ts'
import type { AcquireOptions } from './options.ts'
import { checkAcquireOptions } from './options.ts'

/** How a lease is held once it is one to read. `ttlMs` is that of the lease to write when it is left out. */
export type DowngradeOptions = Pick<AcquireOptions, 'ttlMs' | 'renew' | 'holdMsMax' | 'meta' | 'guard'>

const KNOWN: ReadonlySet<string> = new Set(['ttlMs', 'renew', 'holdMsMax', 'meta', 'guard'])
const READ: LeaseMode = Object.freeze({ kind: 'read' })
const RETRY_MS = 50

/**
 * Makes a lease to write one to read, in one step of the store: nobody writes in between, and readers that wait right behind it are
 * granted with it. From the call on `lease` counts as released; the new one has its token. While the store does not answer the step
 * is repeated, until the time of `lease` is over.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for bad options, or a lease that is not one to write of this backend
 * @throws {LeaseLostError} `HF_LEASE_LOST` when it was not held any more
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer in time; what it holds of the two is given back
 * @throws {StaleTokenError} `HF_STALE_TOKEN` when the guard had already seen a newer token
 */
export async function downgradeLease(backend: Backend, lease: Lease, options: DowngradeOptions = {}): Promise<Lease> {
  checkAcquireOptions(options, KNOWN)
  const keeper = keeperOf(backend)
  if (!(lease instanceof HeldLease) || !lease.isKeptBy(keeper) || lease.request.mode?.kind !== 'write') {
    throw new InvalidArgumentError(
      'lease',
      `Expected \`lease\` to be one to write, from the same backend and not nested in another, got ${shown(lease)}${ofForeignBackend(lease, backend)}.`,
    )
  }
  const wish = { ...options, ttlMs: options.ttlMs ?? lease.ttlMs }
  const to = requestOf(backend, { resource: lease.resource, mode: READ, options: wish })
  const grant = await handedOver(backend, lease, to)
  const reader = keeper.hold(grant, wish)
  return wish.guard === undefined ? reader : await checked(reader, grant, wish)
}

async function handedOver(backend: Backend, lease: HeldLease, to: LeaseRequest): Promise<Grant> {
  const from = lease.handOver()
  try {
    const grant = await repeated(backend, lease, () => backend.leases.downgrade(from, to))
    lease.handedOver(grant === undefined ? 'lost' : 'released')
    if (grant !== undefined) return grant
  } catch (error) {
    lease.handedOver('lost')
    // Either of them may stand in the store, and nobody has it.
    for (const request of [from.request, to]) backend.leases.release({ ...from, request }).catch(() => undefined)
    throw error
  }
  throw new LeaseLostError(lease.resource, 'revoked')
}

async function repeated<T>({ clock }: Backend, lease: HeldLease, step: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof UnavailableError) || lease.leftMs() <= RETRY_MS) throw error
      await passed(clock, RETRY_MS)
    }
  }
}

function passed(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.setTimer(resolve, ms, { background: false }))
}

function shown(lease: unknown): string {
  if (!(lease instanceof HeldLease)) return show(lease)
  const { resource, mode } = lease.request
  return `one ${mode === undefined ? 'that is held alone' : `to ${mode.kind}`}, on ${show(resource)}`
}
