import { orAborted } from '../abort.ts'
import { unansweredWait } from '../answering.ts'
import type { Backend } from '../backend.ts'
import { UnsupportedError, WaitTimeoutError } from '../errors.ts'
import type { Guard } from '../fencing/guard.ts'
import type { Grant, LeaseMode, LeaseRequest } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import { tracePoint } from '../telemetry.ts'
import { checkKeepOut, firstStoreTtlMs, keepsOut, withHolderTime } from './keep-out.ts'
import type { Keeper } from './keeper.ts'
import { keeperOf } from './keeper.ts'
import type { HeldLease, Lease } from './lease.ts'
import { fencingTokenOf } from './granted.ts'
import type { AcquireOptions } from './options.ts'
import { encodeMeta } from './options.ts'
import { withinWait } from './wait-limit.ts'

/** What `tracing:holdfast:lock.acquire` carries. */
export interface AcquireTrace {
  readonly resource: string
  readonly backend: string
  readonly mode: 'exclusive' | LeaseMode['kind']
  /** The same in the lease's events. */
  readonly leaseId: string
  /** The caller's: when it is what ended the waiting, the error is its reason. */
  readonly signal: AbortSignal | undefined
}

/** What is wanted, and how. */
interface Wish {
  readonly resource: string
  readonly mode: LeaseMode | undefined
  readonly options: AcquireOptions
  /** @default a new one */
  readonly requestId?: string
}

const acquireTrace = tracePoint<AcquireTrace>('lock.acquire')

/**
 * Acquires a lease on a resource. Names and options are the caller's to check (`checkName`, `checkAcquireOptions`).
 *
 * @param mode beside whom it is held; left out = alone
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when the backend has no leases of this mode, or an option is not for it
 * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when others held it for all of `waitMs`
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer in time
 * @throws {StaleTokenError} `HF_STALE_TOKEN` when the guard had already seen a newer token
 */
export function acquireLease(
  backend: Backend,
  resource: string,
  options: AcquireOptions,
  mode?: LeaseMode,
): Promise<Lease> {
  const wish = { resource, mode, options }
  return acquireTrace.isHeard ? traced(backend, wish, acquired) : acquired(backend, wish)
}

/** As `acquireLease`, but answers undefined when others held it for all of `waitMs`. */
export function tryAcquireLease(
  backend: Backend,
  resource: string,
  options: AcquireOptions,
  mode?: LeaseMode,
): Promise<Lease | undefined> {
  const wish = { resource, mode, options }
  return acquireTrace.isHeard ? traced(backend, wish, tryAcquired) : tryAcquired(backend, wish)
}

function traced<R>(backend: Backend, wish: Wish, acquire: (backend: Backend, wish: Wish) => Promise<R>): Promise<R> {
  const { resource, mode, options } = wish
  const requestId = backend.leases.newRequestId()
  return acquireTrace.trace(() => acquire(backend, { ...wish, requestId }), {
    resource,
    backend: backend.kind,
    mode: mode?.kind ?? 'exclusive',
    leaseId: requestId,
    signal: options.signal,
  })
}

async function acquired(backend: Backend, wish: Wish): Promise<Lease> {
  const { options } = wish
  options.signal?.throwIfAborted()
  // Before anything is asked for, so that it hears of a close.
  const keeper = keeperOf(backend)
  const grant = await granted(backend, requestOf(backend, wish), options)
  if (grant === undefined) throw heldTooLong(keeper, wish)
  const lease = keeper.hold(keepsOut(options) ? await withHolderTime(backend.leases, grant, options) : grant, options)
  return needsCheck(options) ? await checked(lease, grant, options) : lease
}

// Most often it is the caller, who waits for itself and does not see it.
function heldTooLong(keeper: Keeper, { resource, mode, options: { waitMs = 0 } }: Wish): WaitTimeoutError {
  if (mode?.kind === 'permit' || !keeper.holds(resource, kindOf(mode))) return new WaitTimeoutError(resource, waitMs)
  const held =
    waitMs === 0
      ? `"${resource}" is held by this process itself, and the caller did not want to wait.`
      : `"${resource}" was still held by this process itself after waiting ${waitMs} ms.`
  return new WaitTimeoutError(
    resource,
    waitMs,
    `${held} If it is the caller who holds it, see \`reentrant\` and \`within\`.`,
  )
}

async function tryAcquired(backend: Backend, wish: Wish): Promise<Lease | undefined> {
  const { options } = wish
  options.signal?.throwIfAborted()
  // Before anything is asked for, so that it hears of a close.
  const keeper = keeperOf(backend)
  const grant = await granted(backend, requestOf(backend, wish), options)
  if (grant === undefined) return undefined
  const lease = keeper.hold(keepsOut(options) ? await withHolderTime(backend.leases, grant, options) : grant, options)
  return needsCheck(options) ? await checked(lease, grant, options) : lease
}

/** What is asked of the store. */
export function requestOf(backend: Backend, wish: Wish): LeaseRequest {
  const { leases, kind } = backend
  const { resource, mode, options } = wish
  if (mode !== undefined && leases.modes === 'exclusive') {
    throw new UnsupportedError(
      `The ${kind} backend has exclusive leases only: "${resource}" cannot be held as a ${mode.kind} there.`,
    )
  }
  checkKeepOut(backend, options)
  const isKeptOut = keepsOut(options)
  return {
    resource,
    requestId: wish.requestId ?? leases.newRequestId(),
    mode,
    ttlMs: isKeptOut ? firstStoreTtlMs(leases, options) : options.ttlMs,
    // A holder that dies in its first moments is to leave the whole delay.
    allowProvisional: (options.renew ?? true) && !isKeptOut,
    meta: encodeMeta(options.meta),
  }
}

function granted(backend: Backend, request: LeaseRequest, options: AcquireOptions): Promise<Grant | undefined> {
  const store = backend.leases
  if (options.waitMs === undefined) return store.grant(request, options.signal)
  if (options.waitMs > 0) return grantedInTime(backend, request, options)
  return store
    .tryGrant(request, options.signal)
    .then(outcome => (outcome.kind === 'granted' ? outcome.grant : undefined))
}

// A wait that ends before the store said that others are before us says nothing of them: the store was not there.
async function grantedInTime(
  backend: Backend,
  request: LeaseRequest,
  options: AcquireOptions,
): Promise<Grant | undefined> {
  let isQueued = false
  const queued = (): void => {
    isQueued = true
  }
  const grant = await withinWait(backend.clock, options, signal => backend.leases.grant(request, signal, queued))
  if (grant !== undefined || isQueued) return grant
  throw unansweredWait(backend, request.resource, `the ${options.waitMs} ms of \`waitMs\``)
}

function needsCheck(options: AcquireOptions): boolean {
  return options.guard !== undefined || options.signal !== undefined
}

/** Raises the guard, before anybody gets the lease; gives it back when that fails. */
export async function checked(lease: HeldLease, grant: Grant, options: AcquireOptions): Promise<Lease> {
  try {
    options.signal?.throwIfAborted()
    if (options.guard !== undefined) checkFenceable(grant)
    if (options.guard !== undefined) await raised(options.guard, { lease, grant, signal: options.signal })
    lease.assertHeld()
    return lease
  } catch (error) {
    // The caller never had it.
    lease.keepNobodyOut()
    void lease.release()
    throw error
  }
}

// One token for all permits would make those of the others stale.
function checkFenceable({ request, slot }: Grant): void {
  if (request.mode?.kind !== 'permit' || slot !== undefined) return
  throw new UnsupportedError(
    `The permits of "${request.resource}" have no slots in this backend: no guard can tell them apart. Leave \`guard\` out.`,
  )
}

// A guard that does not answer costs the lease, and no more. Not by `AbortSignal.any`: each call of that leaves some bytes at a
// signal that lives on (Node 20).
function raised(
  guard: Guard,
  { lease, grant, signal }: { readonly lease: Lease; readonly grant: Grant; readonly signal: AbortSignal | undefined },
): Promise<void> {
  // A guard in plain JavaScript may answer at once, with no promise.
  const raising = Promise.resolve(guard.raise({ resource: lease.resource, token: fencingTokenOf(grant) }))
  return orAborted(orAborted(raising, lease.signal), signal)
}
