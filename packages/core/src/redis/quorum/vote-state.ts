import { InvariantError } from '../../errors.ts'
import { FencingToken } from '../../fencing/token.ts'
import { decodeMeta } from '../../lease/options.ts'
import type { LeaseHolder } from '../../ports/leases.ts'
import type { VoteAnswer } from '../../quorum/node.ts'

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

/** Reads what `CastScripts` answer of a server that is as it was known. */
export function readVote(answer: unknown): VoteAnswer {
  if (typeof answer === 'string') return { kind: 'yes', token: answer }
  const [kind, by, remainingMs] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
  if (kind === 'held') return { kind, by: String(by), remainingMs: Number(remainingMs) }
  throw new InvariantError(`The vote was answered ${JSON.stringify(answer)}.`)
}

/** A client with the driver's option `stringNumbers` gets numbers as text. */
export function isOne(answer: unknown): boolean {
  return answer === 1 || answer === '1'
}
