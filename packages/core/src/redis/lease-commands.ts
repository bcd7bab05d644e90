import type { Clock } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline } from '../lease/deadline.ts'
import { TakeBacks } from '../lease/take-backs.ts'
import type { AcquireOutcome, WaitingCommands } from '../lease/waiting.ts'
import type { LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import type { RedisConnection } from './connection.ts'
import { leaseKeys } from './keys.ts'
import type { StepRoute } from './steps.ts'

/** The steps of `scripts/lease-steps.ts`, as functions. Each may be repeated with the same request and means the same. */
export class LeaseCommands implements WaitingCommands {
  readonly claimMs: number
  readonly #clock: Clock
  readonly #connection: RedisConnection
  readonly #sender: StepRoute
  readonly #prefix: string
  readonly #claimDigits: string
  #lastTtl = { ttlMs: 0, text: '' }
  readonly #takeBacks: TakeBacks

  constructor(
    parts: { readonly clock: Clock; readonly connection: RedisConnection; readonly sender: StepRoute },
    settings: { readonly prefix: string; readonly claimMs: number },
  ) {
    this.#clock = parts.clock
    this.#connection = parts.connection
    this.#sender = parts.sender
    this.#prefix = settings.prefix
    this.claimMs = settings.claimMs
    this.#claimDigits = digits(settings.claimMs, 5)
    this.#takeBacks = new TakeBacks({
      clock: parts.clock,
      release: request => this.release(request),
      patienceMsOf: request => this.ttlMsOf(request) + this.#connection.commandTimeoutMs,
      isClosed: () => this.#connection.isClosed,
    })
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
    const { mayQueue: mayWait } = options
    return this.#step(request, { order, mayWait }, (value, sent) => {
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
    const step = { order: `r${request.requestId}`, mayWait: false }
    return this.#step(request, step, value => (isNumber(value, 1) ? 'released' : 'lost'))
  }

  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    this.#takeBacks.start(request, asked)
  }

  /** Settles when nothing is being taken back any more. */
  idle(): Promise<void> {
    return this.#takeBacks.idle()
  }

  #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const order = `n${this.#ttlDigits(ttlMs)}${grant.request.requestId}`
    return this.#step(grant.request, { order, mayWait: false }, (value, sent) => {
      if (!isNumber(value, 1)) return { kind: 'lost', reason: 'revoked' }
      return { kind: 'renewed', deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
    })
  }

  // Most often the same as the last time.
  #ttlDigits(ttlMs: number): string {
    if (this.#lastTtl.ttlMs !== ttlMs) this.#lastTtl = { ttlMs, text: digits(ttlMs, 8) }
    return this.#lastTtl.text
  }

  #step<T>(
    request: LeaseRequest,
    step: { readonly order: string; readonly mayWait: boolean },
    read: (value: unknown, sent: Moment) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const keys = leaseKeys(this.#prefix, request.resource)
      this.#sender.send({ ...step, keys, read, resolve: resolve as (value: unknown) => void, reject })
    })
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
  const [serverUs = 0, remainingMs = 0, position = 0, isNew] = answer.slice(0, 4).map(Number)
  const from = String(answer[4] ?? '')
  return { kind: 'queued', sent, serverUs, remainingMs, position, isNew: isNew === 1, ...(from === '' ? {} : { from }) }
}
