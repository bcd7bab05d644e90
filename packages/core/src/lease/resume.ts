import type { Backend } from '../backend.ts'
import { InvalidArgumentError, UnsupportedError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { show } from '../names.ts'
import { TTL_MS } from '../options.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import { checked } from './acquire.ts'
import { ClockDeadline, momentOf } from './deadline.ts'
import { firstStoreTtlMs, keepsOut } from './keep-out.ts'
import { keeperOf } from './keeper.ts'
import type { Lease } from './lease.ts'
import { HeldLease } from './lease.ts'
import type { AcquireOptions } from './options.ts'
import { encodeMeta } from './options.ts'

const MARK = 'holdfast-lease-1:'

/** What a handle says. */
interface Resumable {
  readonly resource: string
  readonly requestId: string
  readonly token: FencingToken
  readonly ttlMs: number
}

/**
 * What a process has to remember of a lease to take it up again after a restart (`resumeLease`): opaque text, for a file of its own.
 * Whoever has it has the lease: it is no secret of the library's, but it is one of yours, and two processes that use one handle at the
 * same time both believe to hold the lease.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no lease that somebody holds alone
 */
export function leaseHandle(lease: Lease): string {
  if (!(lease instanceof HeldLease) || lease.request.mode !== undefined) {
    throw new InvalidArgumentError('lease', `Expected \`lease\` to be an exclusive lease, got ${show(lease)}.`)
  }
  const { resource, requestId, token, ttlMs } = lease
  return MARK + encodeURIComponent(JSON.stringify([resource, requestId, token.toString(), ttlMs]))
}

/**
 * Takes up a lease of a process that is no more, as the same lease, with the same token, when the store still has it; undefined when it
 * has not. Where it comes back in time nobody waits for a TTL, not even its own.
 *
 * The process that held it must be gone. `waitMs` has no meaning here: it is answered at once.
 *
 * @throws {UnsupportedError} `HF_UNSUPPORTED` where leases end with a session, which no other process can take up
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no handle, or one of another resource or token
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store did not answer in time
 */
export async function resumeLease(
  backend: Backend,
  { resource, handle }: { readonly resource: string; readonly handle: string },
  options: AcquireOptions,
): Promise<Lease | undefined> {
  const { leases, kind, clock } = backend
  if (leases.renewal === 'session') {
    throw new UnsupportedError(
      `The ${kind} backend cannot resume a lease: its leases end with the session of the process that held them.`,
    )
  }
  const known = readHandle(handle, resource)
  options.signal?.throwIfAborted()
  const keeper = keeperOf(backend)
  const own = { ...options, ttlMs: options.ttlMs ?? known.ttlMs }
  const ttlMs = keepsOut(own) ? firstStoreTtlMs(leases, own) : own.ttlMs
  const request: LeaseRequest = {
    resource,
    requestId: known.requestId,
    ttlMs,
    allowProvisional: false,
    meta: encodeMeta(options.meta),
  }
  const deadline = new ClockDeadline(clock, momentOf(clock), 0)
  const grant: Grant = { request, token: known.token, ttlMs, deadline, isProvisional: false }
  const [outcome] = await leases.renew([{ grant, ttlMs }])
  if (outcome?.kind !== 'renewed') return undefined
  await checkToken(backend, known)
  const resumed: Grant = { ...grant, deadline: outcome.deadline, ttlMs: outcome.ttlMs }
  return await checked(keeper.hold(resumed, own), resumed, options)
}

// The store renews by the id of the request; a token of somebody's invention must not pass every guard.
async function checkToken({ leases }: Backend, { resource, requestId, token }: Resumable): Promise<void> {
  const { holders } = await leases.inspect(resource, 'exclusive')
  const stored = holders.find(holder => holder.requestId === requestId)?.token
  if (stored === undefined || stored.value === token.value) return
  throw refused(`one with the token ${stored.value}, got one with ${token.value}`)
}

function readHandle(handle: unknown, resource: string): Resumable {
  const known = typeof handle === 'string' && handle.startsWith(MARK) ? parsed(handle.slice(MARK.length)) : undefined
  if (known === undefined) throw refused(`what \`leaseHandle\` gave, got ${show(handle)}`)
  if (known.resource === resource) return known
  throw refused(`that of a lease on ${show(resource)}, got one on ${show(known.resource)}`)
}

function parsed(text: string): Resumable | undefined {
  try {
    const [resource, requestId, token, ttlMs] = JSON.parse(decodeURIComponent(text)) as readonly unknown[]
    const isTtl = Number.isInteger(ttlMs) && (ttlMs as number) >= TTL_MS.min && (ttlMs as number) <= TTL_MS.max
    if (typeof resource !== 'string' || typeof requestId !== 'string' || !isTtl) return undefined
    if (!/^[\w.-]{1,200}$/.test(requestId)) return undefined
    return { resource, requestId, token: FencingToken.parse(String(token)), ttlMs: ttlMs as number }
  } catch {
    return undefined
  }
}

function refused(expected: string): InvalidArgumentError {
  return new InvalidArgumentError('handle', `Expected \`handle\` to be ${expected}.`)
}
