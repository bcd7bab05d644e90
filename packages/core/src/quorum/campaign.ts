import type { Clock } from '../clock.ts'
import type { HoldfastError } from '../errors.ts'
import { UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Deadline, Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import type { TakeBacks } from '../lease/take-backs.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import { defaultTtlMs } from '../ports/leases.ts'
import type { QuorumNode, VoteAnswer } from './node.ts'
import { voteOf } from './vote-id.ts'
import type { Poll } from './poll.ts'
import { answersOf, majorityOf, poll } from './poll.ts'
import { shortfallOf, unansweredBy } from './shortfall.ts'

/** Who votes, and by which rules. */
export interface Electorate {
  readonly clock: Clock
  readonly nodes: readonly QuorumNode[]
  /** Of each node: what takes back what was asked of it. */
  readonly takeBacks: readonly TakeBacks[]
  /** Whether a token is written to a majority before the lease is used. */
  readonly isFenced: boolean
  /** The part of its TTL, in [0, 1], that must be left of a lease when it is handed out. */
  readonly validityRatioMin: number
  /** The longest TTL that the nodes' quarantine allows for. */
  readonly maxTtlMs: number
}

/** Of each node: a vote that was asked for and is still to be answered. */
export type PendingVotes = (Promise<unknown> | undefined)[]

/**
 * What came of a campaign. Whatever votes were given to one that did not win are given back.
 *
 * - `held`: a majority votes for one other.
 * - `split`: no majority for anybody, as far as one can see: others campaign as well.
 * - `failed`: too few nodes could vote, or so late that too little was left.
 */
export type CampaignOutcome =
  | {
      readonly kind: 'won'
      readonly grant: Grant
      /** As what it stands on the nodes. */
      readonly vote: LeaseRequest
      /** Of each node: the vote, while it is still to be answered. */
      readonly pending: PendingVotes
    }
  | { readonly kind: 'held'; readonly remainingMs: number }
  | { readonly kind: 'split'; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly error: HoldfastError }

/**
 * One round of votes for one request. Each round has votes of its own: what takes back those of an earlier one, perhaps late, must not
 * touch them.
 *
 * **Exclusion.** All nodes are asked at once; a majority of votes wins. A node gives its vote to one request at a time, two majorities
 * share a node, and the lease counts from before the first question was sent, so it ends before any vote that it rests on does. A node
 * that may have forgotten a vote (`quarantined`) gives none until every vote that it can have forgotten has ended.
 *
 * **Tokens** are a monotone register, written in two phases: the votes bring proposals, each above whatever the node knows; the highest
 * one is written to a majority of nodes *on which this vote is still there*, and only then, if the lease is still valid, it is used. They
 * grow from grant to grant: let A be granted with the token a, then B. B's votes are of a majority, and so share a node n with the
 * majority that a was written to. On n the write came before anybody else had the vote, and B's vote came after A's had ended: so n knew
 * a when it made its proposal to B, and B's token, which is no lower, is greater than a. Had n lost its data in between, or gone back to
 * older ones, then it was quarantined for at least as long as clocks can differ: its clock, below which it proposes nothing, had by
 * then passed every clock at A's time, and a is no greater than one of those (or a few above, one for each vote, which take longer than
 * a µs each).
 *
 * @see https://redis.io/docs/latest/develop/clients/patterns/distributed-locks for the votes; we differ in the quarantine, in the tokens,
 * and in that the validity is checked after the last answer
 */
export class Campaign {
  readonly #electorate: Electorate
  readonly #request: LeaseRequest
  readonly #vote: LeaseRequest
  readonly #ttlMs: number
  // In the order of the nodes, as long as they are few: sets and maps would cost more than a vote does here.
  readonly #pending: PendingVotes = []
  readonly #refused: boolean[] = []
  #highest = ''
  #isGivenBack = false

  /** `round` is used for no other campaign of this request. */
  constructor(electorate: Electorate, request: LeaseRequest, round: number) {
    this.#electorate = electorate
    this.#request = request
    this.#vote = voteOf(request, round)
    this.#ttlMs = request.ttlMs ?? defaultTtlMs(electorate.maxTtlMs)
  }

  async run(): Promise<CampaignOutcome> {
    const { clock, isFenced } = this.#electorate
    const sent = momentOf(clock)
    const asked = this.#askAll()
    const votes = await poll(asked, isYes, (index, answer) => this.#onAnswer(index, answer))
    if (!votes.isWon) return await this.#reasonOf(asked, sent)
    const deadline = answeredDeadline(clock, sent, this.#ttlMs)
    const token = this.#highest
    if (this.#isTooLate(deadline)) return this.#lost(this.#late(deadline))
    if (isFenced) {
      const failure = await this.#raise(token, deadline)
      if (failure !== undefined) return this.#lost({ kind: 'failed', error: failure })
    }
    const grant: Grant = {
      request: this.#request,
      token: FencingToken.parse(token),
      isUnfenced: !isFenced,
      ttlMs: this.#ttlMs,
      deadline,
      isProvisional: false,
    }
    return { kind: 'won', grant, vote: this.#vote, pending: this.#pending }
  }

  /** Gives back every vote that was given or is still to be answered. Idempotent. */
  giveBack(): void {
    if (this.#isGivenBack) return
    this.#isGivenBack = true
    for (const index of this.#pending.keys()) {
      if (this.#refused[index] === true) continue
      this.#electorate.takeBacks[index]?.start(this.#vote, this.#pending[index])
    }
  }

  #askAll(): readonly Promise<VoteAnswer>[] {
    const { resource, requestId, meta } = this.#vote
    const { nodes, isFenced } = this.#electorate
    const ballot = { resource, requestId, meta, ttlMs: this.#ttlMs, isFenced }
    return nodes.map((node, index) => {
      const vote = node.vote(ballot)
      this.#pending[index] = vote
      return vote
    })
  }

  #onAnswer(index: number, answer: VoteAnswer | undefined): void {
    this.#pending[index] = undefined
    if (answer === undefined) return
    if (answer.kind !== 'yes') this.#refused[index] = true
    else if (answer.token > this.#highest) this.#highest = answer.token
  }

  async #raise(token: string, deadline: Deadline): Promise<HoldfastError | undefined> {
    const { nodes } = this.#electorate
    const raised = nodes.map((node, index) =>
      this.#refused[index] === true ? Promise.resolve(false) : node.raise(this.#vote, token),
    )
    const written = await poll(raised, stands => stands)
    if (!written.isWon) return this.#isTooLate(deadline) ? this.#late(deadline).error : unansweredBy(nodes, written)
    return this.#isTooLate(deadline) ? this.#late(deadline).error : undefined
  }

  #isTooLate(deadline: Deadline): boolean {
    const leftMs = deadline.remainingMs()
    return leftMs <= 0 || leftMs < this.#ttlMs * this.#electorate.validityRatioMin
  }

  #late(deadline: Deadline): { readonly kind: 'failed'; readonly error: HoldfastError } {
    const leftMs = Math.max(0, Math.floor(deadline.remainingMs()))
    return {
      kind: 'failed',
      error: new UnavailableError(
        `The servers of the quorum answered so late that ${leftMs} ms of the ${this.#ttlMs} ms for "${this.#request.resource}" were left: it was given back.`,
      ),
    }
  }

  // That it is lost is known before why: whether others have it, or too few nodes can vote.
  async #reasonOf(asked: readonly Promise<VoteAnswer>[], sent: Moment): Promise<CampaignOutcome> {
    this.giveBack()
    const { nodes, clock } = this.#electorate
    const tookMs = clock.monotonicMs() - sent.monotonicMs
    const usable = await poll(asked, answer => answer.kind !== 'quarantined')
    return usable.isWon ? outcomeOf(usable, tookMs) : { kind: 'failed', error: shortfallOf(nodes, usable) }
  }

  #lost<O extends CampaignOutcome>(outcome: O): O {
    this.giveBack()
    return outcome
  }
}

function isYes({ kind }: VoteAnswer): boolean {
  return kind === 'yes'
}

function outcomeOf(votes: Poll<VoteAnswer>, tookMs: number): CampaignOutcome {
  const counts = new Map<string, number>()
  let remainingMs = Infinity
  for (const answer of answersOf(votes)) {
    if (answer.kind !== 'held') continue
    counts.set(answer.by, (counts.get(answer.by) ?? 0) + 1)
    remainingMs = Math.min(remainingMs, answer.remainingMs)
  }
  const isHeld = Math.max(0, ...counts.values()) >= majorityOf(votes.answers.length)
  return isHeld ? { kind: 'held', remainingMs } : { kind: 'split', tookMs }
}
