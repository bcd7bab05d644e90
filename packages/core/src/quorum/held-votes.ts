import type { FencingToken } from '../fencing/token.ts'
import type { Deadline } from '../lease/deadline.ts'
import type { LeaseRequest } from '../ports/leases.ts'
import type { CampaignOutcome } from './campaign.ts'

/** A campaign that was won. */
export type WonVotes = Extract<CampaignOutcome, { readonly kind: 'won' }>

/** What a client remembers of a lease that it was granted. */
export interface HeldVotes {
  /** As what it stands on the nodes. */
  readonly vote: LeaseRequest
  readonly token: FencingToken
  readonly isUnfenced: boolean
  /** Of the last grant or renewal. */
  deadline: Deadline
  /** By node: votes that were asked for and are still to be answered. */
  readonly pending: Map<number, Promise<unknown>>
  /** Nodes that said that they freed it. */
  readonly freed: Set<number>
  /** Nodes on which it is being taken back in the background. */
  readonly takenBack: Set<number>
  /** No more votes are to be asked for. */
  isBeingReleased: boolean
}

// At each new one so many of the oldest are looked at: what lapsed and was never released goes, and that at no cost to speak of.
const LOOKS = 2

/** The leases of this client, by request. */
export class HeldVotesById {
  readonly #held = new Map<string, HeldVotes>()

  get(requestId: string): HeldVotes | undefined {
    return this.#held.get(requestId)
  }

  add({ grant, vote, pending }: WonVotes): void {
    this.#dropLapsed()
    const { request, token, isUnfenced, deadline } = grant
    const held: HeldVotes = {
      vote,
      token,
      isUnfenced: isUnfenced ?? false,
      deadline,
      pending: new Map(),
      freed: new Set(),
      takenBack: new Set(),
      isBeingReleased: false,
    }
    this.#held.set(request.requestId, held)
    for (const [index, answer] of pending) this.awaitVote(held, index, answer)
  }

  /** Notes that a node is still to answer. */
  awaitVote(held: HeldVotes, index: number, vote: Promise<unknown>): void {
    held.pending.set(index, vote)
    const answered = (): void => {
      if (held.pending.get(index) === vote) held.pending.delete(index)
    }
    vote.then(answered, answered)
  }

  delete(requestId: string): void {
    this.#held.delete(requestId)
  }

  #dropLapsed(): void {
    let looks = 0
    for (const [requestId, held] of this.#held) {
      if ((looks += 1) > LOOKS) return
      this.#held.delete(requestId)
      // Those that live on are looked at again when their turn comes.
      if (held.deadline.remainingMs() > 0) this.#held.set(requestId, held)
    }
  }
}
