import { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import type { LeaseInfo, LeaseParty } from '../ports/leases.ts'

const WAITER = /^(\S+) \S+ \S+ (.*)$/s

/** Reads the hash that `scripts/lease-steps.ts` keeps, at a moment of server time. */
export function readLeaseInfo(resource: string, hash: Readonly<Record<string, string>>, nowUs: number): LeaseInfo {
  const { o: requestId, e: endUs, t: token } = hash
  const remainingMs = (Number(endUs ?? 0) - nowUs) / 1_000
  const isHeld = requestId !== undefined && token !== undefined && remainingMs > 0
  const holder = isHeld
    ? { requestId, token: FencingToken.parse(token), remainingMs, meta: decodeMeta(hash['m'] ?? '') }
    : undefined
  return { resource, holder, waiters: readWaiters(hash) }
}

function readWaiters(hash: Readonly<Record<string, string>>): readonly LeaseParty[] {
  return Object.entries(hash)
    .filter(([field]) => /^w\d+$/.test(field))
    .sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)))
    .flatMap(([, waiter]) => {
      const [, requestId, meta] = WAITER.exec(waiter) ?? []
      return requestId === undefined ? [] : [{ requestId, meta: decodeMeta(meta ?? '') }]
    })
}
