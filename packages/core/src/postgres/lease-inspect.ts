import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import { decodeMeta } from '../lease/options.ts'
import type { LeaseInfo, LeaseKind, LeaseParty } from '../ports/leases.ts'

/** What the statement answers, as JSON. */
interface StoredLease {
  readonly holders: readonly StoredHolder[] | null
  readonly waiters: readonly (readonly [request: string, mode: LeaseParty['mode'], meta: string])[] | null
}

type StoredHolder = readonly [
  request: string,
  mode: LeaseParty['mode'],
  meta: string,
  token: string,
  slot: number | null,
  heldMs: number,
  remainingMs: number,
]

const TIMES = `extract(epoch FROM clock_timestamp() - h.since) * 1000, extract(epoch FROM h.ends_at - clock_timestamp()) * 1000`

/** Who holds and who waits, as a statement: one, and so one snapshot. */
export function inspectStatement(
  schema: string,
  resource: string,
  kind: LeaseKind,
): { readonly text: string; readonly values: readonly string[] } {
  return kind === 'exclusive'
    ? { text: ofExclusive(schema), values: [resource] }
    : { text: ofShared(schema), values: [resource, kind] }
}

/** What it answered. */
export function readLeaseInfo(resource: string, json: string): LeaseInfo {
  const { holders, waiters } = JSON.parse(json) as StoredLease
  return leaseInfo(
    resource,
    (holders ?? []).map(([requestId, mode, meta, token, slot, heldMs, remainingMs]) => ({
      requestId,
      mode,
      meta: decodeMeta(meta),
      token: FencingToken.parse(token),
      slot: slot ?? undefined,
      heldMs,
      remainingMs,
    })),
    (waiters ?? []).map(([requestId, mode, meta]) => ({ requestId, mode, meta: decodeMeta(meta) })),
  )
}

function ofExclusive(schema: string): string {
  return `
    SELECT json_build_object(
      'holders', (SELECT json_agg(json_build_array(h.holder, 'exclusive', h.meta, h.token::text, NULL, ${TIMES}))
        FROM ${schema}.leases h WHERE h.resource = $1 AND h.holder IS NOT NULL AND h.ends_at > clock_timestamp()),
      'waiters', (SELECT json_agg(json_build_array(w.request, 'exclusive', w.meta) ORDER BY w.ticket)
        FROM ${schema}.lease_waiters w WHERE w.resource = $1))::text`
}

function ofShared(schema: string): string {
  return `
    SELECT json_build_object(
      'holders', (SELECT json_agg(json_build_array(h.request, h.mode, h.meta, h.token::text, h.slot, ${TIMES}) ORDER BY h.since, h.slot)
        FROM ${schema}.shared_lease_holders h WHERE h.resource = $1 AND h.kind = $2 AND h.ends_at > clock_timestamp()),
      'waiters', (SELECT json_agg(json_build_array(w.request, w.mode, w.meta) ORDER BY w.ticket)
        FROM ${schema}.shared_lease_waiters w WHERE w.resource = $1 AND w.kind = $2))::text`
}
