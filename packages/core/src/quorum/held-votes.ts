import type { FencingToken } from '../fencing/token.ts'
import type { Deadline } from '../lease/deadline.ts'
import type { LeaseRequest } from '../ports/leases.ts'
import type { CampaignOutcome, PendingVotes } from './campaign.ts'

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
  readonly pending: PendingVotes
  /** Of each node: whether it said that it freed the vote. */
  readonly freed: boolean[]
  /** Of each node: whether the vote is being taken back in the background. */
  readonly takenBack: boolean[]
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
      pending,
      freed: [],
      takenBack: [],
      isBeingReleased: false,
    }
    this.#held.set(request.requestId, held)
  }

  /** Notes that a node is still to answer. */
  awaitVote(held: HeldVotes, index: number, vote: Promise<unknown>): void {
    held.pending[index] = vote
    const answered = (): void => {
      if (held.pending[index] === vote) held.pending[index] = undefined
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
