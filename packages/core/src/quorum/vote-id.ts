import type { LeaseRequest } from '../ports/leases.ts'

/** As what one round of a request stands on the nodes. */
export function voteOf(request: LeaseRequest, round: number): LeaseRequest {
  return { ...request, requestId: `${request.requestId}/${round}` }
}

/** Whose request a vote is of. */
export function requestIdOf(voteId: string): string {
  return voteId.replace(/\/\d+$/, '')
}
