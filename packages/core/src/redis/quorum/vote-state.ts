import { FencingToken } from '../../fencing/token.ts'
import { decodeMeta } from '../../lease/options.ts'
import type { LeaseHolder } from '../../ports/leases.ts'

const STATE = /^(\d{20})(\d{20})0(\d{8})0{5}(\S+) (.*)$/s

/** Reads what `scripts/cast-vote.ts` keeps of a resource, at a moment of server time: who has the vote. */
export function readVoteState(state: string, nowUs: number): LeaseHolder | undefined {
  const [, digits = '', sinceUs, ttlMs, requestId, meta = ''] = STATE.exec(state) ?? []
  const remainingMs = Number(ttlMs) - (nowUs - Number(sinceUs)) / 1_000
  if (requestId === undefined || !(remainingMs > 0)) return undefined
  // Since when is not known: the vote counts from its last renewal.
  return {
    requestId,
    mode: 'exclusive',
    meta: decodeMeta(meta),
    token: FencingToken.parse(digits),
    slot: undefined,
    heldMs: undefined,
    remainingMs,
  }
}
