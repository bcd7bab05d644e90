import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import { Chain } from '../chain.ts'
import { ClosedError, InvalidArgumentError, UnsupportedError } from '../errors.ts'
import { answeredDeadline, driftMs, momentOf } from '../lease/deadline.ts'
import { leaseInfo } from '../lease/info.ts'
import type {
  Grant,
  LeaseHolder,
  LeaseInfo,
  LeaseKind,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import { defaultTtlMs } from '../ports/leases.ts'
import type { Random } from '../random.ts'
import type { RequestIds } from '../request-ids.ts'
import type { CampaignOutcome, Electorate } from './campaign.ts'
import { Campaign } from './campaign.ts'
import type { HeldVotes } from './held-votes.ts'
import { HeldVotesById } from './held-votes.ts'
import { WaitingLines } from './lines.ts'
import { mostVoted } from './most-voted.ts'
import type { Poll } from './poll.ts'
import { answersOf, majorityOf, poll } from './poll.ts'
import { unansweredBy } from './shortfall.ts'
import { requestIdOf } from './vote-id.ts'
import type { Wish } from './waiter.ts'
import { QuorumWaiter, splitPauseMs } from './waiter.ts'

/** What a `QuorumLeaseStore` works with. */
export interface QuorumParts extends Electorate {
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  readonly ids: Pick<RequestIds, 'next'>
  /** What the votes of these servers are worth now (see `LeaseStore.guarantee`). */
  readonly guarantee: () => 'advisory' | 'lease'
  /** Throws when one of the nodes cannot be one. */
  readonly checkNodes: () => void
  readonly retryMsMax: number
}

/** A round of votes under way. */
interface Round {
  readonly outcome: Promise<CampaignOutcome>
  readonly giveUp: () => void
}

// So often one who only tries asks again after votes were split: somebody is to win.
const SPLITS_MAX = 4

/**
 * Leases by a majority of votes of servers that know nothing of each other. `exclusive` alone: a semaphore by votes is unsound, since of
 * two holders with a majority each, no single server sees both. Waiters are served in no order.
 */
export class QuorumLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'exclusive'
  readonly #parts: QuorumParts
  readonly #held = new HeldVotesById()
  readonly #lines = new WaitingLines()
  // What close ends: those who wait, and those who try.
  #rounds = 0
  readonly #underWay = new Chain<Wish>()

  constructor(parts: QuorumParts) {
    this.#parts = parts
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#parts.guarantee()
  }

  get ttlMsMax(): number {
    return this.#parts.maxTtlMs
  }

  newRequestId(): string {
    return this.#parts.ids.next()
  }

  async tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    this.#check(request)
    signal?.throwIfAborted()
    for (let splits = 0; ; splits += 1) {
      const outcome = await this.#tried(request, signal)
      if (outcome.kind === 'won') return { kind: 'granted', grant: outcome.grant }
      if (outcome.kind === 'failed') throw outcome.error
      if (outcome.kind === 'held' || splits === SPLITS_MAX) return { kind: 'held' }
      await this.#pause(splitPauseMs(this.#parts.random, outcome.tookMs, splits))
      this.#parts.lifecycle.checkOpen()
      signal?.throwIfAborted()
    }
  }

  async grant(request: LeaseRequest, signal?: AbortSignal, queued: () => void = () => {}): Promise<Grant> {
    this.#check(request)
    signal?.throwIfAborted()
    const { clock, random, retryMsMax, maxTtlMs } = this.#parts
    const patienceMs = request.ttlMs ?? defaultTtlMs(maxTtlMs)
    const campaign = (): Round => this.#campaign(request)
    const parts = { clock, random, retryMsMax, patienceMs, lines: this.#lines, campaign }
    return await new Promise((resolve, reject) => {
      const over = (): void => {
        this.#underWay.delete(waiter)
        stopListening()
      }
      const waiter = new QuorumWaiter(request.resource, parts, {
        queued,
        resolve: grant => {
          over()
          resolve(grant)
        },
        reject: error => {
          over()
          reject(error)
        },
      })
      this.#underWay.add(waiter)
      const stopListening = onAbort(signal, reason => waiter.giveUp(reason))
      waiter.start()
    })
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.#parts.lifecycle.checkUsable()
    return await Promise.all(renewals.map(renewal => this.#renew(renewal)))
  }

  async release({ request }: Grant): Promise<'released' | 'lost'> {
    this.#parts.lifecycle.checkUsable()
    const { nodes } = this.#parts
    const held = this.#held.get(request.requestId)
    // It was given back, or has lapsed.
    if (held === undefined) return 'lost'
    held.isBeingReleased = true
    // What was still there after its time may have been anybody's.
    const isLate = held.deadline.remainingMs() <= 0
    const answers = await this.#withdrawAll(held)
    if (!answers.isWon && !cannotBe(answers, false, nodes.length)) throw unansweredBy(nodes, answers)
    this.#held.delete(request.requestId)
    this.#lines.wakeFirst(request.resource)
    return answers.isWon && !isLate ? 'released' : 'lost'
  }

  downgrade(): Promise<undefined> {
    return Promise.reject(new UnsupportedError('A quorum has exclusive leases only.'))
  }

  async inspect(resource: string, kind: LeaseKind = 'exclusive'): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    if (kind !== 'exclusive') throw new UnsupportedError(`A quorum has exclusive leases only: it has no ${kind} ones.`)
    const { nodes } = this.#parts
    const asked = await poll(
      nodes.map(node => node.inspect(resource)),
      () => true,
    )
    if (!asked.isWon) throw unansweredBy(nodes, asked)
    const unanswered = nodes.length - answersOf(asked).length
    const holder = mostVoted(answersOf(asked), majorityOf(nodes.length) - unanswered)
    return leaseInfo(resource, holder === undefined ? [] : [this.#shown(holder)], [])
  }

  #shown(holder: LeaseHolder): LeaseHolder {
    const requestId = requestIdOf(holder.requestId)
    return { ...holder, requestId, token: this.#held.get(requestId)?.token ?? holder.token }
  }

  /** No server says anything of its own accord: what is lost shows at the next renewal, or at the deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits, and takes back what they asked for. */
  close(): void {
    for (const wish of this.#underWay.members()) wish.giveUp(new ClosedError('quorum backend'))
  }

  #check({ resource, mode, ttlMs }: LeaseRequest): void {
    this.#parts.lifecycle.checkOpen()
    this.#parts.checkNodes()
    if (mode !== undefined) {
      throw new UnsupportedError(
        `A quorum has exclusive leases only: "${resource}" cannot be held as a ${mode.kind} there.`,
      )
    }
    this.#checkTtl(ttlMs ?? defaultTtlMs(this.ttlMsMax))
  }

  #checkTtl(ttlMs: number): void {
    const { maxTtlMs } = this.#parts
    if (ttlMs <= maxTtlMs) return
    throw new InvalidArgumentError(
      'ttlMs',
      `Expected \`ttlMs\` to be at most the quorum's \`maxTtlMs\` of ${maxTtlMs} ms, got ${ttlMs}: a server that was emptied stays out for no longer.`,
    )
  }

  // One round that an abort and a close end at once.
  #tried(request: LeaseRequest, signal: AbortSignal | undefined): Promise<CampaignOutcome> {
    return new Promise((resolve, reject) => {
      const round = this.#campaign(request)
      const over = (): void => {
        this.#underWay.delete(wish)
        stopListening()
      }
      const giveUp = (reason: unknown): void => {
        round.giveUp()
        over()
        reject(reason)
      }
      const wish: Wish = { giveUp }
      this.#underWay.add(wish)
      const stopListening = onAbort(signal, giveUp)
      // Nothing ends it once its caller has it.
      round.outcome.then(
        outcome => {
          over()
          resolve(outcome)
        },
        (error: unknown) => {
          over()
          reject(error)
        },
      )
    })
  }

  #campaign(request: LeaseRequest): Round {
    const held = this.#held.get(request.requestId)
    if (held !== undefined) return { outcome: this.#again(request, held), giveUp: () => {} }
    const campaign = new Campaign(this.#parts, request, (this.#rounds += 1))
    let isGivenUp = false
    const outcome = campaign.run().then(result => {
      if (result.kind === 'won' && !isGivenUp) this.#held.add(result)
      return result
    })
    const giveUp = (): void => {
      isGivenUp = true
      campaign.giveBack()
    }
    return { outcome, giveUp }
  }

  // The same grant, for one that is asked for again while it is held.
  async #again(request: LeaseRequest, held: HeldVotes): Promise<CampaignOutcome> {
    const { token, isUnfenced, vote, pending } = held
    const ttlMs = request.ttlMs ?? defaultTtlMs(this.ttlMsMax)
    // What was made longer since stays so.
    const leftMs = held.deadline.remainingMs()
    const renewed = await this.#renewHeld(held, request, Math.max(ttlMs, Math.ceil(leftMs + driftMs(leftMs))))
    if (renewed.kind === 'lost') return await this.#campaign(request).outcome
    const { deadline } = renewed
    return { kind: 'won', grant: { request, token, isUnfenced, ttlMs, deadline, isProvisional: false }, vote, pending }
  }

  async #renew({ grant: { request }, ttlMs }: Renewal): Promise<RenewOutcome> {
    this.#checkTtl(ttlMs)
    const held = this.#held.get(request.requestId)
    return held === undefined ? { kind: 'lost', reason: 'revoked' } : await this.#renewHeld(held, request, ttlMs)
  }

  async #renewHeld(held: HeldVotes, request: LeaseRequest, ttlMs: number): Promise<RenewOutcome> {
    const { clock, nodes } = this.#parts
    const sent = momentOf(clock)
    const asked = nodes.map(node => node.renew(held.vote, ttlMs))
    const answers = await poll(asked, stands => stands)
    if (answers.isWon) {
      const deadline = answeredDeadline(clock, sent, ttlMs)
      held.deadline = deadline
      this.#askBack(held, ttlMs, asked)
      return { kind: 'renewed', deadline, ttlMs }
    }
    if (!cannotBe(answers, false, nodes.length)) throw unansweredBy(nodes, answers)
    this.#held.delete(request.requestId)
    held.isBeingReleased = true
    this.#takeBack(held, asked)
    return { kind: 'lost', reason: 'revoked' }
  }

  // A node on which the vote does not stand (it was away, or had voted for another then) is asked for it, for the next renewals to count:
  // otherwise one restart after the other would cost a lease that is held for long. The lease itself rests on those that stand.
  #askBack(held: HeldVotes, ttlMs: number, renewed: readonly Promise<boolean>[]): void {
    const { resource, requestId, meta } = held.vote
    for (const [index, one] of renewed.entries()) {
      one.then(
        stands => {
          if (stands || held.isBeingReleased || held.pending[index] !== undefined) return
          if (held.deadline.remainingMs() <= 0) return
          const vote = this.#parts.nodes[index]?.vote({ resource, requestId, meta, ttlMs, isFenced: !held.isUnfenced })
          if (vote !== undefined) this.#held.awaitVote(held, index, vote)
        },
        () => {},
      )
    }
  }

  async #withdrawAll(held: HeldVotes): Promise<Poll<boolean>> {
    const withdrawn = this.#parts.nodes.map((node, index) =>
      held.freed[index] === true ? Promise.resolve(true) : node.withdraw(held.vote),
    )
    const pending = [...held.pending]
    return await poll(
      withdrawn,
      isFreed => isFreed,
      (index, isFreed) => {
        if (isFreed === true) held.freed[index] = true
        // What is still to be answered may come to the node behind this: also where it freed a vote, which was then an older one.
        const asked = isFreed === true ? held.pending[index] : pending[index]
        if (isFreed === undefined || asked !== undefined) this.#takeBackFrom(index, held, asked)
      },
    )
  }

  #takeBackFrom(index: number, held: HeldVotes, pending: Promise<unknown> | undefined): void {
    if (held.takenBack[index] === true) return
    held.takenBack[index] = true
    this.#parts.takeBacks[index]?.start(held.vote, pending)
  }

  // What is left of a lease that no majority has any more.
  #takeBack({ vote, pending }: HeldVotes, renewed: readonly Promise<boolean>[]): void {
    for (const [index, one] of renewed.entries()) {
      this.#parts.takeBacks[index]?.start(vote, pending[index] ?? one)
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.#parts.clock.setTimer(resolve, delayMs, { background: false }))
  }
}

// Whether so many gave this answer that the other one has no majority, whatever those say who failed.
function cannotBe(answers: Poll<boolean>, answer: boolean, count: number): boolean {
  return answersOf(answers).filter(one => one === answer).length > count - majorityOf(count)
}
