import { leaseStateKey } from '../keys.ts'

/** Where a server of a quorum keeps what it has to say of a resource, as `scripts/cast-vote.ts` describes it. */
export function voteKey(prefix: string, resource: string): string {
  return leaseStateKey(`${prefix}:quorum`, resource)
}

/** Since when it is the one that answers, as `scripts/standing.ts` describes it. */
export function standingKey(prefix: string): string {
  return `${prefix}:quorum:server`
}
