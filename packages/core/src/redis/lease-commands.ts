import type { Clock } from '../clock.ts'
import { InvariantError, UnavailableError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline } from '../lease/deadline.ts'
import type { Grant, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import type { RedisConnection } from './connection.ts'
import { leaseKeys } from './keys.ts'
import type { StepSender } from './steps.ts'

/** What an acquire step answers. */
export type AcquireOutcome =
  | { readonly kind: 'granted'; readonly grant: Grant }
  | { readonly kind: 'held' }
  | {
      readonly kind: 'queued'
      readonly sent: Moment
      readonly serverUs: number
      /** Until the holder's lease ends, if he dies now. */
      readonly remainingMs: number
      /** 0 = first. */
      readonly position: number
      /** Whether the place is a new one: the server did not know of it before. */
      readonly isNew: boolean
    }

const TAKE_BACK_RETRY_MS = 100

/** The steps of `scripts/lease-steps.ts`, as functions. Each may be repeated with the same request and means the same. */
export class LeaseCommands {
  readonly claimMs: number
  readonly #clock: Clock
  readonly #connection: RedisConnection
  readonly #sender: StepSender
  readonly #prefix: string
  readonly #claimDigits: string
  #lastTtl = { ttlMs: 0, text: '' }
  readonly #takingBack = new Set<Promise<void>>()

  constructor(
    parts: { readonly clock: Clock; readonly connection: RedisConnection; readonly sender: StepSender },
    settings: { readonly prefix: string; readonly claimMs: number },
  ) {
    this.#clock = parts.clock
    this.#connection = parts.connection
    this.#sender = parts.sender
    this.#prefix = settings.prefix
    this.claimMs = settings.claimMs
    this.#claimDigits = digits(settings.claimMs, 5)
  }

  /** Grows each time the server was connected to anew. */
  get epoch(): number {
    return this.#connection.epoch
  }

  ttlMsOf(request: LeaseRequest): number {
    return request.ttlMs ?? TTL_MS_DEFAULT
  }

  acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome> {
    const ttlMs = this.ttlMsOf(request)
    const claim = options.mayQueue ? this.#claimDigits : '00000'
    const order = `a${this.#ttlDigits(ttlMs)}${claim}${request.requestId} ${request.meta}`
    return this.#step(request, order, (value, sent) => {
      if (isNumber(value, 0)) return { kind: 'held' }
      if (typeof value !== 'string') return queued(value, sent)
      const deadline = answeredDeadline(this.#clock, sent, ttlMs)
      const token = FencingToken.parse(value)
      return { kind: 'granted', grant: { request, token, ttlMs, deadline, isProvisional: false } }
    })
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return await Promise.all(renewals.map(renewal => this.#renew(renewal)))
  }

  release(request: LeaseRequest): Promise<'released' | 'lost'> {
    return this.#step(request, `r${request.requestId}`, value => (isNumber(value, 1) ? 'released' : 'lost'))
  }

  /**
   * Takes back what a request may have left on the server, in the background, for as long as it could matter there. `asked` is
   * the last question about it, answered or not.
   */
  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    const work = this.#takeBackAfter(request, asked).finally(() => this.#takingBack.delete(work))
    this.#takingBack.add(work)
  }

  /** Settles when nothing is being taken back any more. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#takingBack)
  }

  #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const order = `n${this.#ttlDigits(ttlMs)}${grant.request.requestId}`
    return this.#step(grant.request, order, (value, sent) => {
      if (!isNumber(value, 1)) return { kind: 'lost', reason: 'revoked' }
      return { kind: 'renewed', deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
    })
  }

  // Most often the same as the last time.
  #ttlDigits(ttlMs: number): string {
    if (this.#lastTtl.ttlMs !== ttlMs) this.#lastTtl = { ttlMs, text: digits(ttlMs, 8) }
    return this.#lastTtl.text
  }

  #step<T>(request: LeaseRequest, order: string, read: (value: unknown, sent: Moment) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const keys = leaseKeys(this.#prefix, request.resource)
      this.#sender.send({ keys, order, read, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  async #takeBackAfter(request: LeaseRequest, asked: Promise<unknown> | undefined): Promise<void> {
    let isAnswered = asked === undefined
    const answered = asked?.catch(() => undefined).then(() => (isAnswered = true))
    await this.#takeBack(request)
    if (isAnswered) return
    // The question is sent again when its connection broke: the server may hear of it only now.
    await answered
    await this.#takeBack(request)
  }

  async #takeBack(request: LeaseRequest): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + this.ttlMsOf(request) + this.#connection.commandTimeoutMs
    while (!this.#connection.isClosed) {
      try {
        await this.release(request)
        return
      } catch (error) {
        if (!(error instanceof UnavailableError)) return
        if (this.#clock.monotonicMs() >= untilMs) return
        await new Promise<void>(resolve => this.#clock.setTimer(resolve, TAKE_BACK_RETRY_MS))
      }
    }
  }
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0')
}

// A client with the driver's option `stringNumbers` gets numbers as text.
function isNumber(answer: unknown, value: number): boolean {
  return answer === value || answer === String(value)
}

function queued(answer: unknown, sent: Moment): AcquireOutcome {
  if (!Array.isArray(answer)) throw new InvariantError(`The acquire step answered ${JSON.stringify(answer)}.`)
  const [serverUs, remainingMs, position, isNew] = answer.map(Number) as [number, number, number, number]
  return { kind: 'queued', sent, serverUs, remainingMs, position, isNew: isNew === 1 }
}
