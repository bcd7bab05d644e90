import type { Clock, Timer } from '../clock.ts'
import { UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import type { Moment } from './deadline.ts'
import { ClockDeadline, driftMs, momentOf } from './deadline.ts'
import type { InLine, Lines } from './lines.ts'
import type { AcquireOutcome, HandOff, InboxListener, WaitingCommands, WaitingInbox } from './waiting.ts'

/** The last answer that said "queued": what time it was on the server, and before we asked. */
interface Place {
  readonly sent: Moment
  readonly serverUs: number
  readonly from: string | undefined
  readonly connectionEpoch: number
}

/** Who hears of a waiter: `queued` each time that the server says so, and one of the others once. */
export interface WaiterListener {
  readonly queued: () => void
  readonly resolve: (grant: Grant) => void
  readonly reject: (error: unknown) => void
}

/** When the head of the queue asks, after the holder's lease has ended. */
const LATE_MS = 20
/** When others ask, should the head have died as well: spread a little, since one of them is enough. */
const SECOND_MS = 500
const SPREAD_MS = 20
const SPREAD_MS_MAX = 400
const RETRY_MS = 250

/**
 * Waits for one request's turn. The lease comes by message; should a message be lost, or the holder die (then nobody sends one), the
 * first waiter of each client asks by its own timer: the head of the queue when the holder's lease ends, the others a little later.
 * Whoever asks makes the server hand the lease to the head, so one question is enough for all.
 */
export class Waiter implements InboxListener, InLine {
  readonly #request: LeaseRequest
  readonly #commands: WaitingCommands
  readonly #inbox: WaitingInbox
  readonly #lines: Lines
  readonly #line: string
  readonly #clock: Clock
  readonly #settle: WaiterListener
  readonly #inboxEpoch: number
  #place: Place | undefined
  #early: { readonly handOff: HandOff; readonly received: Moment } | undefined
  #timer: Timer | undefined
  #askAtMs: number | undefined
  #isAsking = false
  #asked: Promise<unknown> | undefined
  // When to ask by the news that it is the first now.
  #firstAskAtMs: number | undefined
  #mustAskAgain = false
  #isOver = false
  // Of what was granted.
  #token: bigint | undefined
  #handedOver: HandOff | undefined
  #silentSinceMs: number | undefined

  constructor(
    request: LeaseRequest,
    from: {
      readonly commands: WaitingCommands
      readonly inbox: WaitingInbox
      readonly lines: Lines
      readonly clock: Clock
    },
    settle: WaiterListener,
  ) {
    this.#request = request
    this.#commands = from.commands
    this.#inbox = from.inbox
    this.#lines = from.lines
    this.#line = `${kindOf(request.mode)} ${request.resource}`
    this.#clock = from.clock
    this.#settle = settle
    this.#inboxEpoch = from.inbox.epoch
    this.#inbox.add(request.requestId, this)
    this.#lines.join(this.#line, this)
  }

  /** Asks for the lease, or for a place in the queue; the same again says what has become of it. */
  ask(): void {
    if (this.#isOver) return
    if (this.#isAsking) {
      this.#mustAskAgain = true
      return
    }
    this.#isAsking = true
    this.#mustAskAgain = false
    this.#firstAskAtMs = undefined
    this.#timer?.cancel()
    void this.#ask().finally(() => {
      this.#isAsking = false
      if (this.#mustAskAgain) this.ask()
    })
  }

  /** Leaves, and takes back what was asked for. */
  giveUp(reason: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.#commands.takeBack(this.#request, this.#asked)
    this.#settle.reject(reason)
  }

  onHandOff(handOff: HandOff): void {
    const received = momentOf(this.#clock)
    // The message can overtake the answer that says since when we wait.
    if (this.#place === undefined) this.#early = { handOff, received }
    // What cannot be read is no news, and the server can be asked.
    else this.#accept(handOff, received, this.#place).catch(() => this.ask())
  }

  onFirst(remainingMs: number): void {
    // The message can overtake an answer that says otherwise, of a holder before this one.
    const delayMs = remainingMs + LATE_MS
    this.#firstAskAtMs = this.#clock.monotonicMs() + delayMs
    this.#askIn(delayMs)
  }

  onGap(): void {
    this.ask()
  }

  keepTime(): void {
    if (this.#askAtMs === undefined) return
    // What is past was the time of one before us, who knew better.
    const delayMs = this.#askAtMs - this.#clock.monotonicMs()
    this.#askIn(delayMs > 0 ? delayMs : SECOND_MS)
  }

  async #ask(): Promise<void> {
    try {
      const asked = this.#commands.acquire(this.#request, { mayQueue: true })
      this.#asked = asked
      const outcome = await asked
      this.#silentSinceMs = undefined
      if (this.#isOver) return this.#checkAfterEnd(outcome)
      if (outcome.kind === 'granted') return this.#grantAsked(outcome.grant)
      if (outcome.kind === 'held') return this.#askIn(RETRY_MS)
      this.#settle.queued()
      const hadPlace = this.#place !== undefined
      const { sent, serverUs, from } = outcome
      this.#place = { sent, serverUs, from, connectionEpoch: this.#commands.epoch }
      const nowMs = this.#clock.monotonicMs()
      const firstAskAtMs = this.#firstAskAtMs ?? Infinity
      this.#askAtMs = Math.min(nowMs + outcome.remainingMs + patienceMs(outcome.position), firstAskAtMs)
      const keepsTime = this.#lines.isFirst(this.#line, this)
      if (keepsTime || firstAskAtMs < Infinity) this.#askIn(this.#askAtMs - nowMs)
      // It was queued, and the server does not know that any more: nor of those behind it.
      if (keepsTime && hadPlace && outcome.isNew) this.#askBehind()
      const early = this.#early
      this.#early = undefined
      if (early !== undefined) await this.#accept(early.handOff, early.received, this.#place)
    } catch (error) {
      this.#onFailure(error)
    }
  }

  // The message came first. A question that was sent again over a new connection can have made a place, or taken the lease, once more
  // after all was given back.
  #checkAfterEnd(outcome: AcquireOutcome): void {
    if (this.#isGhost(outcome) && this.#token !== undefined) this.#commands.takeBack(this.#request, undefined)
  }

  // A place that is not new is the one from which it was served. And an answer from before that was overtaken by the news: it says nothing.
  #isGhost(outcome: AcquireOutcome): boolean {
    if (outcome.kind === 'granted') return outcome.grant.token.value !== this.#token
    const handedOver = this.#handedOver
    if (outcome.kind !== 'queued' || !outcome.isNew || handedOver === undefined) return false
    return outcome.from === handedOver.from && outcome.serverUs > handedOver.nowUs
  }

  // A first question that fails is the caller's to know; later ones only mean that the server is away for a while, and the place
  // in the queue is worth keeping for as long as a lease would last.
  #onFailure(error: unknown): void {
    const nowMs = this.#clock.monotonicMs()
    this.#silentSinceMs ??= nowMs
    const isPassing = error instanceof UnavailableError && this.#place !== undefined
    if (isPassing && nowMs - this.#silentSinceMs < this.#commands.ttlMsOf(this.#request)) this.#askIn(RETRY_MS)
    else this.giveUp(error)
  }

  // It came by asking, after a wait for a message: the holder died, or the server lost its data.
  #grantAsked(grant: Grant): void {
    const isNews = this.#place !== undefined && this.#lines.isFirst(this.#line, this)
    this.#grant(grant)
    if (isNews) this.#askBehind()
  }

  #askBehind(): void {
    this.#lines.askBehind(this.#line, this)
  }

  // Holds the process: somebody awaits this.
  #askIn(delayMs: number): void {
    if (this.#isOver) return
    this.#timer?.cancel()
    const ask = (): void => {
      this.#inbox.probe()
      this.ask()
    }
    this.#timer = this.#clock.setTimer(ask, Math.min(delayMs, this.#inbox.trustMs), { background: false })
  }

  async #accept(handOff: HandOff, received: Moment, place: Place): Promise<void> {
    if (this.#isOver) return
    this.#handedOver = handOff
    const deadline = handOffDeadline(this.#clock, { handOff, received, place })
    const isSameLink = place.connectionEpoch === this.#commands.epoch && this.#inboxEpoch === this.#inbox.epoch
    const isSameClock = place.from === handOff.from
    const token = FencingToken.parse(handOff.token)
    const isEnough = this.#commands.confirmsHandOffs !== true
    const isFresh = isEnough && isSameLink && isSameClock && deadline.remainingMs() >= handOff.spanMs / 2
    const ttlMs = this.#commands.ttlMsOf(this.#request)
    const isProvisional = handOff.spanMs < ttlMs
    const grant: Grant = { request: this.#request, token, slot: handOff.slot, ttlMs, deadline, isProvisional }
    if (isFresh && (this.#request.allowProvisional || !isProvisional)) return this.#grant(grant)
    await this.#confirm(grant)
  }

  // Renews first, and counts from that. Once its time is over, an older question that was late can have taken the lease anew for the same
  // request: a renewal would keep that one, whose token is another, so the server is asked.
  async #confirm(grant: Grant): Promise<void> {
    if (grant.deadline.remainingMs() <= 0) return this.ask()
    try {
      const [outcome] = await this.#commands.renew([{ grant, ttlMs: grant.ttlMs }])
      if (outcome?.kind !== 'renewed' || grant.deadline.remainingMs() <= 0) return this.ask()
      this.#grant({ ...grant, deadline: outcome.deadline, isProvisional: false })
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #grant(grant: Grant): void {
    if (this.#isOver) return
    if (grant.deadline.remainingMs() <= 0) return this.ask()
    this.#token = grant.token.value
    this.#end()
    this.#settle.resolve(grant)
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#inbox.remove(this.#request.requestId)
    this.#lines.leave(this.#line, this)
  }
}

/**
 * When a lease that came by message ends: the server's clock says how long after our own question it was handed over, and our
 * clocks say when that question was sent; receipt is an upper bound for a server clock that was set forward.
 */
function handOffDeadline(
  clock: Clock,
  facts: { readonly handOff: HandOff; readonly received: Moment; readonly place: Place },
): ClockDeadline {
  const { handOff, received, place } = facts
  const waitedMs = (handOff.nowUs - place.serverUs) / 1_000
  const start: Moment = {
    monotonicMs: Math.min(place.sent.monotonicMs + waitedMs, received.monotonicMs),
    wallMs: Math.min(place.sent.wallMs + waitedMs, received.wallMs),
  }
  return new ClockDeadline(clock, start, handOff.spanMs - driftMs(handOff.spanMs + Math.max(0, waitedMs)))
}

function patienceMs(position: number): number {
  return position === 0 ? LATE_MS : SECOND_MS + Math.min(SPREAD_MS_MAX, position * SPREAD_MS)
}
