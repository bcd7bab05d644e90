import type { LeaseHolder } from '../ports/leases.ts'

/**
 * Whoever has the most of the votes, if they are `votesMin` at least: with the highest token that one of them was raised to, and what is
 * left of the one that ends first.
 */
export function mostVoted(votes: readonly (LeaseHolder | undefined)[], votesMin: number): LeaseHolder | undefined {
  const byId = new Map<string, LeaseHolder[]>()
  for (const vote of votes) {
    if (vote !== undefined) byId.set(vote.requestId, [...(byId.get(vote.requestId) ?? []), vote])
  }
  const [most = []] = [...byId.values()].sort((a, b) => b.length - a.length)
  if (most.length < votesMin) return undefined
  const [first] = most.sort((a, b) => (a.token.value > b.token.value ? -1 : 1))
  const remainingMs = Math.min(...most.map(vote => vote.remainingMs ?? 0))
  return first === undefined ? undefined : { ...first, remainingMs }
}
