import type { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import type { LeaseHolder, LeaseMode, LeaseParty } from '../ports/leases.ts'

/** Somebody who wants a resource. */
export interface Claim {
  readonly requestId: string
  /** Beside whom; undefined = alone. */
  readonly mode: LeaseMode | undefined
  readonly ttlMs: number
  readonly meta: string
}

/** Somebody who has it, until `endsAtMs` by the monotonic clock. */
export interface Holding extends Claim {
  readonly token: FencingToken
  /** Of a permit. */
  readonly slot: number | undefined
  readonly sinceMs: number
  endsAtMs: number
}

/** Somebody who waits for it. */
export interface Waiter extends Claim {
  readonly granted: (holding: Holding) => void
}

/** The leases of one kind, by the name of their resource. */
export interface MemoryLeases {
  /** Grants at once, or undefined while it is another's turn. The same request gets the same token again, and all of its time at least. */
  tryGrant(name: string, claim: Claim): Holding | undefined
  /** Takes a place in the queue; `granted` is called when its turn comes. */
  enqueue(name: string, claim: Claim, granted: (holding: Holding) => void): void
  /** Makes a holding of ours end `ttlMs` from now, or undefined when it is not ours any more. */
  renew(name: string, requestId: string, ttlMs: number): Holding | undefined
  /** Takes back a request, whether it waits or holds. True when it held. */
  release(name: string, requestId: string): boolean
}

/** For how long a holding lasts whose request was sent again: an old question that comes late makes nothing shorter. */
export function lastsMs({ endsAtMs }: Holding, ttlMs: number, nowMs: number): number {
  return Math.max(ttlMs, endsAtMs - nowMs)
}

/** As `inspect` shows who waits. */
export function partyOf({ requestId, mode, meta }: Claim): LeaseParty {
  return { requestId, mode: mode?.kind ?? 'exclusive', meta: decodeMeta(meta) }
}

/** As `inspect` shows who holds. */
export function holderOf(holding: Holding, nowMs: number): LeaseHolder {
  const { token, slot, sinceMs, endsAtMs } = holding
  return { ...partyOf(holding), token, slot, heldMs: nowMs - sinceMs, remainingMs: endsAtMs - nowMs }
}
