import { FencingToken } from '../fencing/token.ts'
import { decodeMeta } from '../lease/options.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseHolder, LeaseInfo, LeaseParty } from '../ports/leases.ts'

const STATE = /^(\d{20})(\d{20})[01]((\d{8}).*)$/s
const SHARED_STATE = /^(\d{20})(\d{20})(\d{7})(.*)$/s
const EXCLUSIVE = /^()\d{13}(\S+) (.*)$/s
const SHARED = /^([rwp])\d{20}(\S+) (.*)$/s
const MODES = { '': 'exclusive', r: 'read', w: 'write', p: 'permit' } as const

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

/** What `scripts/shared-steps.ts` keeps of one resource. */
export interface StoredSharedLease {
  readonly holders: Readonly<Record<string, string>>
  /** Mode and id of each holder, and the µs until which it holds, in turn. */
  readonly ends: readonly unknown[]
  readonly queue: Readonly<Record<string, string>>
}

/** Reads it, at a moment of server time. */
export function readSharedLeaseInfo(resource: string, stored: StoredSharedLease, nowUs: number): LeaseInfo {
  // A client that speaks RESP3 gets pairs.
  const words = stored.ends.flat().map(String)
  const holders = words
    .flatMap((word, index) =>
      index % 2 === 0
        ? (readSharedHolder(stored.holders[`h${word.slice(1)}`], Number(words[index + 1]), nowUs) ?? [])
        : [],
    )
    .sort((a, b) => b.heldMs - a.heldMs)
  return leaseInfo(resource, holders, readWaiters(stored.queue))
}

function readSharedHolder(
  kept: string | undefined,
  untilUs: number,
  nowUs: number,
): (LeaseHolder & { readonly heldMs: number }) | undefined {
  const [, digits = '', sinceUs, slot, record = ''] = SHARED_STATE.exec(kept ?? '') ?? []
  const remainingMs = (untilUs - nowUs) / 1_000
  const party = readParty(record)
  if (party === undefined || remainingMs <= 0) return undefined
  return {
    ...party,
    token: FencingToken.parse(digits),
    slot: party.mode === 'permit' ? Number(slot) : undefined,
    heldMs: Math.max(0, (nowUs - Number(sinceUs)) / 1_000),
    remainingMs,
  }
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
  const [, mode, requestId, meta] = EXCLUSIVE.exec(record) ?? SHARED.exec(record) ?? []
  if (requestId === undefined) return undefined
  return { requestId, mode: MODES[mode as keyof typeof MODES], meta: decodeMeta(meta ?? '') }
}
