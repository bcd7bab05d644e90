import type { LeaseLostReason } from '../errors.ts'
import { ClosedError, InvalidArgumentError, LeaseLostError } from '../errors.ts'
import type { FencingToken } from '../fencing/token.ts'
import { inspectAs } from '../inspected.ts'
import { show } from '../names.ts'
import { TTL_MS, checkDurationMs } from '../options.ts'
import type { Grant, LeaseRequest, LeaseStore, RenewOutcome, Renewal } from '../ports/leases.ts'
import type { Deadline } from './deadline.ts'
import { ClockDeadline, answeredDeadline, momentOf } from './deadline.ts'
import { fencingTokenOf, grantPicture, resourceOf } from './granted.ts'
import type { KeepOut } from './keep-out.ts'
import { holderDeadline, holderTtlMs, keepOutOf } from './keep-out.ts'
import type { Keeper } from './keeper.ts'
import type { Lease, LeaseGuarantee } from './lease-contract.ts'
import type { LeaseState } from './lease-state.ts'
import { HELD, RELEASED, standingOf } from './lease-state.ts'
import type { AcquireOptions } from './options.ts'
import { RenewalOrder } from './renewal-order.ts'

export type { Lease, LeaseGuarantee } from './lease-contract.ts'

const RELEASE_RETRY_MS = 50
const RENEW_RETRY_MS_MAX = 1_000

/** A lease that its keeper looks after: the one place where a lease's life is written down. */
export class HeldLease implements Lease {
  readonly resource: string
  readonly guarantee: LeaseGuarantee
  readonly #keeper: Keeper
  readonly #store: LeaseStore
  readonly #grant: Grant
  readonly #isRenewed: boolean
  #keepOut: KeepOut | undefined
  // By how much the store was last asked for more than the holder's own time.
  #beyondMs = 0
  #holdLimit: Deadline | undefined
  #ttlMs: number
  #deadline: Deadline
  // A session's lease ends with the session; one that is not to be renewed also ends by itself.
  #ownEnd: Deadline | undefined
  #isProvisional: boolean
  #isRenewing = false
  // Only one that is extended can have several under way; the other is the keeper's last.
  #order: RenewalOrder | undefined
  #kept = 0
  // The renewal is due once no more than this is left; 0 = never.
  #renewBelowMs: number
  #state: LeaseState = HELD
  #abort: AbortController | undefined
  #release: Promise<'released' | 'lost'> | undefined
  #settleRelease: ((outcome: 'released' | 'lost') => void) | undefined
  #onEnd: ((error: LeaseLostError) => void) | undefined

  static {
    inspectAs(this.prototype, 'Lease', lease => ({
      ...grantPicture(lease.#grant),
      ...standingOf(lease.#state, lease.leftMs()),
      remainingMs: Math.floor(lease.remainingMs()),
      guarantee: lease.guarantee,
    }))
  }

  constructor(keeper: Keeper, store: LeaseStore, grant: Grant, options: AcquireOptions) {
    this.resource = resourceOf(grant)
    this.guarantee = options.guard === undefined ? store.guarantee : 'fenced'
    this.#keeper = keeper
    this.#store = store
    this.#grant = grant
    this.#isRenewed = options.renew ?? true
    this.#keepOut = keepOutOf(keeper.clock, options)
    this.#ttlMs = this.#keepOut === undefined ? grant.ttlMs : holderTtlMs(store, options)
    this.#beyondMs = grant.ttlMs - this.#ttlMs
    this.#deadline = this.#ownDeadline(grant.deadline)
    this.#isProvisional = grant.isProvisional
    this.#holdLimit = options.holdMsMax === undefined ? undefined : this.#fromNow(options.holdMsMax)
    if (!this.#isRenewed && store.renewal === 'session') this.#ownEnd = this.#fromNow(this.#ttlMs)
    this.#renewBelowMs = this.#nextRenewal()
  }

  get request(): LeaseRequest {
    return this.#grant.request
  }

  get requestId(): string {
    return this.#grant.request.requestId
  }

  get token(): FencingToken {
    if (this.#state.kind !== 'released') this.assertHeld()
    return fencingTokenOf(this.#grant)
  }

  get ttlMs(): number {
    return this.#ttlMs
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      // Made when it is first asked for: a controller costs more than the rest of a lease.
      this.#abort = new AbortController()
      this.#lapseIfDue()
      if (this.#state.kind === 'lost') this.#abort.abort(this.#state.error)
    }
    return this.#abort.signal
  }

  remainingMs(): number {
    return this.#state.kind === 'held' ? Math.max(0, this.leftMs()) : 0
  }

  assertHeld(): void {
    this.#lapseIfDue()
    if (this.#state.kind === 'lost') throw this.#state.error
    if (this.#state.kind === 'released') throw new LeaseLostError(this.resource, 'released')
  }

  async extend(ttlMs: number): Promise<number> {
    checkDurationMs('ttlMs', ttlMs, TTL_MS)
    if (this.#isRenewed) {
      throw new InvalidArgumentError(
        'ttlMs',
        `A lease that renews itself cannot be extended to ${ttlMs} ms: acquire it with \`renew: false\`.`,
      )
    }
    this.assertHeld()
    const renewal = this.#startExtension(ttlMs)
    const storeTtlMs = this.#keepOut?.storeTtlMs(ttlMs) ?? ttlMs
    const [outcome] = await this.#store.renew([{ grant: this.#grant, ttlMs: storeTtlMs }])
    this.assertHeld()
    this.#beyondMs = storeTtlMs - ttlMs
    if (outcome !== undefined) this.applyRenewal(outcome, renewal)
    this.assertHeld()
    if (this.#ownEnd !== undefined) this.#ownEnd = this.#fromNow(ttlMs)
    this.#keeper.wakeFor(this)
    return this.remainingMs()
  }

  onRevoke(listener: () => void): () => void {
    if (typeof listener !== 'function') {
      throw new InvalidArgumentError('listener', `Expected \`listener\` to be a function, got ${show(listener)}.`)
    }
    if (this.#state.kind !== 'held') return () => {}
    return this.#keeper.revocations.listen(this.#grant, () => (this.#state.kind === 'held' ? listener() : undefined))
  }

  release(): Promise<'released' | 'lost'> {
    this.#lapseIfDue()
    if (this.#release !== undefined) return this.#release
    this.#release = new Promise(resolve => this.#startRelease(resolve))
    // Last, so that a listener that releases again finds it done.
    this.#onEnd?.(new LeaseLostError(this.resource, 'released'))
    return this.#release
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release().then(() => undefined)
  }

  /**
   * Ends as released, without a word to the store: its place there is to go to the grant of another request. `handedOver` says what
   * became of it; at its deadline it ends by itself.
   *
   * @throws {LeaseLostError} `HF_LEASE_LOST` when it is not held any more
   */
  handOver(): Grant {
    this.assertHeld()
    this.#state = RELEASED
    this.#holdLimit = undefined
    this.#keepOut = undefined
    this.#release = new Promise(resolve => (this.#settleRelease = resolve))
    this.#onEnd?.(new LeaseLostError(this.resource, 'released'))
    return this.#grant
  }

  /** What the store said of it after `handOver`. */
  handedOver(outcome: 'released' | 'lost'): void {
    this.#keeper.forget(this)
    this.#settle(outcome)
  }

  /** For what stands on it: each `listener` hears at once that it was lost or is being given back. */
  onEnd(listener: (error: LeaseLostError) => void): void {
    const before = this.#onEnd
    this.#onEnd =
      before === undefined
        ? listener
        : error => {
            before(error)
            listener(error)
          }
  }

  // What follows is for the keeper.

  get backendKind(): string {
    return this.#keeper.kind
  }

  isKeptBy(keeper: Keeper): boolean {
    return this.#keeper === keeper
  }

  /** Until the lease's end, also while it is being released. */
  leftMs(): number {
    let left = this.#deadline.remainingMs()
    if (this.#ownEnd !== undefined) left = Math.min(left, this.#ownEnd.remainingMs())
    if (this.#holdLimit !== undefined) left = Math.min(left, this.#holdLimit.remainingMs())
    return left
  }

  /** Until its renewal is due, when so much is left; `Infinity` when it is not to be renewed. */
  untilRenewalMs(leftMs: number): number {
    if (this.#renewBelowMs === 0 || this.#state.kind !== 'held' || this.#isRenewing) return Infinity
    // What `holdMsMax` leaves says nothing about when the store is to be asked again.
    return (this.#holdLimit === undefined ? leftMs : this.#deadline.remainingMs()) - this.#renewBelowMs
  }

  /** Marks the renewal as under way. */
  startRenewal(): Renewal {
    this.#isRenewing = true
    this.#kept = this.#order?.sent(this.#ifAnswered(this.#ttlMs)) ?? 0
    const ttlMs = this.#keepOut?.storeTtlMs(this.#ttlMs) ?? this.#ttlMs
    this.#beyondMs = ttlMs - this.#ttlMs
    return { grant: this.#grant, ttlMs }
  }

  applyRenewal(outcome: RenewOutcome, renewal: number = this.#kept): void {
    this.#isRenewing = false
    if (outcome.kind === 'lost') return this.lose(outcome.reason)
    // It came after the end: nobody holds this any more, so the store must not keep it for another TTL.
    if (this.#state.kind === 'lost') return void this.#takeBack()
    if (this.#keeper.isTraced && this.#state.kind === 'held') this.#tellRenewed()
    const own = this.#ownDeadline(outcome.deadline)
    const deadline = this.#order === undefined ? own : this.#order.answered(renewal, own)
    if (deadline === undefined) return
    this.#ttlMs = outcome.ttlMs - this.#beyondMs
    this.#deadline = deadline
    this.#isProvisional = false
    this.#renewBelowMs = this.#nextRenewal()
  }

  /** The store did not answer: nothing is known, the deadline stands, and it is tried again. */
  failRenewal(): void {
    this.#isRenewing = false
    // Nothing is left for another try when this is 0: then only the end is to come.
    this.#renewBelowMs = Math.max(0, this.#deadline.remainingMs() - Math.min(RENEW_RETRY_MS_MAX, this.#ttlMs / 10))
  }

  /** Its time is over. */
  lapse(): void {
    if (this.#holdLimit !== undefined && this.#holdLimit.remainingMs() <= 0) return this.#stopAtLimit()
    this.lose('expired')
    void this.#takeBack()
  }

  /** Its caller never had it: whatever it asked for, nothing stays behind. */
  keepNobodyOut(): void {
    this.#keepOut = undefined
  }

  lose(reason: LeaseLostReason): void {
    this.#keeper.forget(this)
    this.#end(reason)
  }

  // The store may count by a shorter time from now on, although its answer never comes.
  #startExtension(ttlMs: number): number | undefined {
    if (this.#store.renewal === 'session') return undefined
    const deadline = this.#ifAnswered(ttlMs)
    if (deadline.remainingMs() < this.#deadline.remainingMs()) {
      this.#deadline = deadline
      this.#keeper.wakeFor(this)
    }
    this.#order ??= new RenewalOrder()
    return this.#order.sent(deadline)
  }

  #ifAnswered(ttlMs: number): Deadline {
    return answeredDeadline(this.#keeper.clock, momentOf(this.#keeper.clock), ttlMs)
  }

  // The holder is told, but stays alone for the rest of a TTL: who obeys the signal is not overtaken while he cleans up.
  #stopAtLimit(): void {
    this.#ownEnd = this.#fromNow(Math.min(this.#ttlMs, this.#deadline.remainingMs()))
    this.#holdLimit = undefined
    this.#end('hold-limit')
  }

  #end(reason: LeaseLostReason): void {
    if (this.#state.kind === 'released') return this.#settle('lost')
    if (this.#state.kind === 'lost') return
    const error = new LeaseLostError(this.resource, reason)
    this.#state = { kind: 'lost', error }
    this.#onEnd?.(error)
    this.#keeper.tellLost(this, this.#grant.token, reason)
    this.#abort?.abort(error)
  }

  /** Its backend closes: it ends, and is given back. Resolves when the store has answered. */
  async close(): Promise<void> {
    if (this.#state.kind === 'released') {
      await this.#release
      return
    }
    this.lose('closed')
    await this.#takeBack()
  }

  #lapseIfDue(): void {
    if (this.#state.kind === 'held' && this.leftMs() <= 0) this.lapse()
  }

  #startRelease(resolve: (outcome: 'released' | 'lost') => void): void {
    if (this.#state.kind === 'lost') {
      resolve('lost')
      // Who obeys the signal of `holdMsMax` gives back what he still has alone; any other end has left what it was to leave.
      const isObeyed = this.#state.error.reason === 'hold-limit'
      if (isObeyed || this.#keepOut === undefined) void this.#takeBack({ isOrderly: isObeyed })
      return
    }
    this.#state = RELEASED
    this.#holdLimit = undefined
    this.#settleRelease = resolve
    this.#tryRelease()
  }

  #tryRelease(): void {
    const restMs = this.#keepOut?.restMs({ isOrderly: true }) ?? 0
    this.#endInStore(restMs).then(
      outcome => {
        if (restMs > 0 && outcome === 'released') this.#stayFor(restMs)
        else this.#keeper.forget(this)
        this.#settle(outcome)
      },
      (error: unknown) => {
        // Nobody is left to ask.
        if (error instanceof ClosedError) return this.lose('closed')
        // The keeper settles it at the deadline.
        if (this.leftMs() > 0) this.#keeper.clock.setTimer(() => this.#tryRelease(), RELEASE_RETRY_MS)
      },
    )
  }

  // Once, whoever says it first: of each lease that was granted it is told that it ended.
  #settle(outcome: 'released' | 'lost'): void {
    const settle = this.#settleRelease
    if (settle === undefined) return
    this.#settleRelease = undefined
    settle(outcome)
    if (this.#keeper.isHeard('released')) this.#keeper.tell('released', this, this.#grant.token)
  }

  #tellRenewed(): void {
    const slackMs = Math.max(0, this.#deadline.remainingMs())
    this.#keeper.tellRenewed(this, this.#grant.token, { slackMs, isProvisional: this.#isProvisional })
  }

  // A lease that we gave up first may still stand in the store.
  async #takeBack({ isOrderly } = { isOrderly: this.#state.kind === 'released' }): Promise<void> {
    await this.#endInStore(this.#keepOut?.restMs({ isOrderly }) ?? 0).catch(() => undefined)
  }

  // What is to keep others out for a while is renewed for that while, and then ends by itself.
  async #endInStore(restMs: number): Promise<'released' | 'lost'> {
    if (restMs === 0) return await this.#store.release(this.#grant)
    const [outcome] = await this.#store.renew([{ grant: this.#grant, ttlMs: restMs }])
    return outcome?.kind === 'renewed' ? 'released' : 'lost'
  }

  // It would end by itself; giving it back on time lets those who wait have it at once.
  #stayFor(restMs: number): void {
    this.#keeper.revocations.forget(this.requestId)
    this.#ownEnd = undefined
    this.#deadline = this.#fromNow(restMs)
    this.#keeper.wakeFor(this)
  }

  // The store's deadline, less what is not the holder's.
  #ownDeadline(deadline: Deadline): Deadline {
    return this.#keepOut === undefined ? deadline : holderDeadline(deadline, this.#ttlMs, this.#beyondMs)
  }

  #fromNow(lengthMs: number): Deadline {
    return new ClockDeadline(this.#keeper.clock, momentOf(this.#keeper.clock), lengthMs)
  }

  // A third of what it now has is over: for one handed off, that is soon.
  #nextRenewal(): number {
    const isDue = this.#isProvisional || (this.#isRenewed && this.#store.renewal === 'each')
    return isDue ? (this.#deadline.remainingMs() * 2) / 3 : 0
  }
}

/** Calls `listener` at once when a lease is lost or is being given back: for what stands on it. */
export function onLeaseEnd(lease: Lease, listener: (error: LeaseLostError) => void): void {
  if (lease instanceof HeldLease) lease.onEnd(listener)
}
