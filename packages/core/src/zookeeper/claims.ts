import type { LeaseRequest } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import type { Contender } from './contender.ts'
import type { Contending, Side } from './naming.ts'
import type { Patience } from './patience.ts'
import { PermitClaim } from './permits.ts'
import type { Locks, Queue } from './queues.ts'
import { queueOf } from './queues.ts'
import { ReadClaim, WriteClaim } from './read-write.ts'
import type { Session } from './session.ts'

/** What stands for a grant, and its token. */
export interface Claimed {
  readonly contender: Contender
  readonly token: bigint
}

/** What one mode does beside queueing, for one request in one session. */
export interface Claim {
  /** To be called before queueing. */
  prepare(): Promise<void>
  /** A listing of the queue was just sent: what is asked now is answered behind it. */
  listed(): void
  /** Whether its turn in the queue is all that it needs, and nobody can come to stand before others there. */
  readonly isTurnEnough: boolean
  /** Whether there is room for all those before it and for itself, so that its turn comes without anybody giving up anything. */
  hasRoomBehind(ahead: readonly Contending[]): Promise<boolean>
  /** Whether the place in the queue may have become what it wanted: a `take` was begun and nobody knows what became of it. */
  readonly mayHaveTaken: boolean
  /**
   * To be called in its turn. Undefined when others hold what it needs and it may not wait. When ZooKeeper did not answer it can be
   * called again, after another listing.
   */
  take(contender: Contender): Promise<Claimed | undefined>
  /** Takes back what it made beside its place in the queue. */
  withdraw(): void
}

/** What a claim works with. */
export interface ClaimParts extends Locks {
  readonly session: Session
  readonly request: LeaseRequest
  readonly patience: Patience
  readonly server: string
}

/** Where a request queues, and what it does there. */
export interface Errand {
  readonly queue: Queue
  readonly side: Side
  readonly claim: Claim
}

/** What a request does by its mode. */
export function errandOf(parts: ClaimParts): Errand {
  const { mode, resource } = parts.request
  const queue = queueOf(parts, resource, kindOf(mode))
  switch (mode?.kind) {
    case undefined:
      return { queue, side: 'alone', claim: ALONE }
    case 'read':
      return { queue, side: 'shared', claim: new ReadClaim(parts) }
    case 'write':
      return { queue, side: 'alone', claim: new WriteClaim(parts) }
    case 'permit':
      return { queue, side: 'alone', claim: new PermitClaim(parts, mode.limit) }
  }
}

/**
 * The token is our node's czxid, the transaction that created it, which the create's own reply tells. Tokens grow in the order of
 * grants: that is the order of the sequence numbers, and those are given in the order of creation. A parent that is deleted and
 * made anew begins again with the number 0 (so the numbers are no tokens), but it can only be deleted when it has no children, so
 * who contends in the new one was created after everybody who held in the old one; and the transactions of an ensemble are
 * numbered once and for all. It does not matter which server tells it. Anybody can read it from the node as well, which is how
 * `inspect` shows the token of a lease that another process holds.
 */
const ALONE: Claim = Object.freeze({
  prepare: () => Promise.resolve(),
  listed: () => undefined,
  isTurnEnough: true,
  hasRoomBehind: () => Promise.resolve(false),
  mayHaveTaken: false,
  take: (contender: Contender) => Promise.resolve({ contender, token: contender.czxid }),
  withdraw: () => undefined,
})
