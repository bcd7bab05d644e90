import type { LeaseHolder } from '../ports/leases.ts'

/** Whose vote it is. */
export interface VoteRef {
  readonly resource: string
  readonly requestId: string
}

/** What a node is asked for. */
export interface Ballot extends VoteRef {
  readonly ttlMs: number
  /** A `LeaseMeta` as JSON text. */
  readonly meta: string
  /** Whether a token is to be proposed. */
  readonly isFenced: boolean
}

/**
 * What a node answers.
 *
 * - `yes`: for `ttlMs` from now the resource is the request's on this node. `token` is its proposal, 20 digits: greater than any that it
 *   has proposed or been raised to, and no less than its clock in µs; where none is asked for, its highest so far, or 0.
 *   Asked again for a vote that stands for longer than that, it changes nothing, and answers its highest.
 * - `held`: its vote is another's.
 * - `quarantined`: it may have lost what it knew, and votes for nobody yet.
 */
export type VoteAnswer =
  | { readonly kind: 'yes'; readonly token: string }
  | { readonly kind: 'held'; readonly by: string; readonly remainingMs: number }
  | { readonly kind: 'quarantined'; readonly remainingMs: number }

/**
 * One server of a quorum. It knows nothing of the others: for each resource it keeps one vote with a deadline, and one number that
 * never goes back as long as its data live (the register of tokens).
 *
 * Each method rejects with `UnavailableError` when no answer came in time: it may have been carried out all the same. Each is
 * idempotent. A node answers them one by one.
 */
export interface QuorumNode {
  /** For messages. */
  readonly name: string
  vote(ballot: Ballot): Promise<VoteAnswer>
  /** Raises the register to a token of 20 digits, if the vote was neither freed nor given to another; false when it was. */
  raise(vote: VoteRef, token: string): Promise<boolean>
  /** Makes the vote stand for `ttlMs` from now, if it stands; false when it does not. */
  renew(vote: VoteRef, ttlMs: number): Promise<boolean>
  /** Frees the vote; false when it was freed before, or given to another. The register stays. */
  withdraw(vote: VoteRef): Promise<boolean>
  /** Whose vote it is. */
  inspect(resource: string): Promise<LeaseHolder | undefined>
}
