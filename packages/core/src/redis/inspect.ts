import { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseHolder, LeaseInfo, LeaseParty } from '../ports/leases.ts'

const STATE = /^(\d{20})(\d{20})[01]((\d{8}).*)$/s
const RECORD = /^\d{13}(\S+) (.*)$/s

/** What `scripts/lease-steps.ts` keeps of one resource. */
export interface StoredLease {
  readonly state: string
  readonly queue: Readonly<Record<string, string>>
}

/** Reads it, at a moment of server time. */
export function readLeaseInfo(resource: string, stored: StoredLease, nowUs: number): LeaseInfo {
  const holder = readHolder(stored.state, nowUs)
  return leaseInfo(resource, holder === undefined ? [] : [holder], readWaiters(stored.queue))
}

function readHolder(state: string, nowUs: number): LeaseHolder | undefined {
  const [, digits = '', sinceUs, record = '', ttlMs] = STATE.exec(state) ?? []
  const remainingMs = Number(ttlMs) - (nowUs - Number(sinceUs)) / 1_000
  const party = readParty(record)
  if (party === undefined || remainingMs <= 0) return undefined
  const token = FencingToken.parse(digits)
  // A token is the server's time when it was granted, in µs (or a little more, where that was set back).
  const heldMs = Math.max(0, (nowUs - Number(token.value)) / 1_000)
  return { ...party, token, slot: undefined, heldMs, remainingMs }
}

function readWaiters(queue: Readonly<Record<string, string>>): readonly LeaseParty[] {
  return Object.entries(queue)
    .filter(([field]) => /^w\d+$/.test(field))
    .sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)))
    .flatMap(([, record]) => readParty(record) ?? [])
}

function readParty(record: string): LeaseParty | undefined {
  const [, requestId, meta = ''] = RECORD.exec(record) ?? []
  return requestId === undefined ? undefined : { requestId, mode: 'exclusive', meta: decodeMeta(meta) }
}
