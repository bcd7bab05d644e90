import { FencingToken } from '../../fencing/token.ts'
import { decodeMeta } from '../../lease/options.ts'
import type { LeaseHolder } from '../../ports/leases.ts'

const STATE = /^(\d{20})(\d{8})(\S+) (.*)$/s

/** Reads what `scripts/cast-vote.ts` keeps of a resource for another `leftMs`: who has the vote. */
export function readVoteState(state: string, leftMs: number): LeaseHolder | undefined {
  const [, digits = '', keepMs, requestId, meta = ''] = STATE.exec(state) ?? []
  const remainingMs = leftMs - Number(keepMs)
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
