import type { Clock } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline } from '../lease/deadline.ts'
import { TakeBacks } from '../lease/take-backs.ts'
import type { AcquireOutcome, WaitingCommands } from '../lease/waiting.ts'
import type { Grant, LeaseMode, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { kindOf, TTL_MS_DEFAULT } from '../ports/leases.ts'
import type { RedisConnection } from './connection.ts'
import { leaseKeys, sharedLeaseKeys } from './keys.ts'
import type { StepRoute } from './steps.ts'

/** Where the steps of leases are sent: of those that are held alone, and of those that can be held beside others. */
export interface LeaseRoutes {
  readonly exclusive: StepRoute
  readonly shared: StepRoute
}

/**
 * The steps of `scripts/lease-steps.ts` and `scripts/shared-steps.ts`, as functions. Each may be repeated with the same request and
 * means the same.
 */
export class LeaseCommands implements WaitingCommands {
  readonly claimMs: number
  readonly confirmsHandOffs: boolean
  readonly #clock: Clock
  readonly #connection: RedisConnection
  readonly #routes: LeaseRoutes
  readonly #prefix: string
  readonly #claimDigits: string
  #lastTtl = { ttlMs: 0, text: '' }
  readonly #takeBacks: TakeBacks

  constructor(
    parts: { readonly clock: Clock; readonly connection: RedisConnection; readonly routes: LeaseRoutes },
    settings: { readonly prefix: string; readonly claimMs: number; readonly confirmsHandOffs: boolean },
  ) {
    this.#clock = parts.clock
    this.#connection = parts.connection
    this.#routes = parts.routes
    this.#prefix = settings.prefix
    this.claimMs = settings.claimMs
    this.confirmsHandOffs = settings.confirmsHandOffs
    this.#claimDigits = digits(settings.claimMs, 5)
    this.#takeBacks = new TakeBacks({
      clock: parts.clock,
      release: request => this.release(request),
      patienceMsOf: request => this.ttlMsOf(request) + this.#connection.commandTimeoutMs,
      // Grants have a connection of their own then.
      mayOvertake: settings.confirmsHandOffs,
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
    const { mayQueue: mayWait } = options
    const order = `a${this.#recordOf(request, mayWait)}`
    return this.#step(request, { order, mayWait }, (value, sent) => {
      if (isNumber(value, 0)) return { kind: 'held' }
      if (typeof value !== 'string') return queued(value, sent)
      return { kind: 'granted', grant: this.#granted(request, value, sent) }
    })
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return await Promise.all(renewals.map(renewal => this.#renew(renewal)))
  }

  release(request: LeaseRequest): Promise<'released' | 'lost'> {
    const step = { order: `r${letterOf(request.mode)}${request.requestId}`, mayWait: false }
    return this.#step(request, step, value => (isNumber(value, 1) ? 'released' : 'lost'))
  }

  /** Undefined when it was not held any more. */
  downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    const step = { order: `d${from.request.requestId} ${this.#recordOf(to, true)}`, mayWait: false }
    return this.#step(to, step, (value, sent) =>
      typeof value === 'string' ? this.#granted(to, value, sent) : undefined,
    )
  }

  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    this.#takeBacks.start(request, asked)
  }

  /** Settles when nothing is being taken back any more. */
  idle(): Promise<void> {
    return this.#takeBacks.idle()
  }

  #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const { requestId, mode } = grant.request
    const order = `n${letterOf(mode)}${this.#ttlDigits(ttlMs)}${requestId}`
    return this.#step(grant.request, { order, mayWait: false }, (value, sent) => {
      if (!isNumber(value, 1)) return { kind: 'lost', reason: 'revoked' }
      return { kind: 'renewed', deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
    })
  }

  #recordOf(request: LeaseRequest, mayWait: boolean): string {
    const { mode, requestId, meta } = request
    const claim = mayWait ? this.#claimDigits : '00000'
    return `${letterOf(mode)}${this.#ttlDigits(this.ttlMsOf(request))}${claim}${limitOf(mode)}${requestId} ${meta}`
  }

  // By its token, and of a permit its slot.
  #granted(request: LeaseRequest, answer: string, sent: Moment): Grant {
    const ttlMs = this.ttlMsOf(request)
    const deadline = answeredDeadline(this.#clock, sent, ttlMs)
    const end = answer.indexOf(' ')
    if (end < 0) return { request, token: FencingToken.parse(answer), ttlMs, deadline, isProvisional: false }
    const token = FencingToken.parse(answer.slice(0, end))
    return { request, token, ttlMs, deadline, isProvisional: false, slot: Number(answer.slice(end)) }
  }

  // Most often the same as the last time.
  #ttlDigits(ttlMs: number): string {
    if (this.#lastTtl.ttlMs !== ttlMs) this.#lastTtl = { ttlMs, text: digits(ttlMs, 8) }
    return this.#lastTtl.text
  }

  // Written out, with nothing spread: two of them are made in each use of a lock.
  #step<T>(
    { resource, mode }: LeaseRequest,
    { order, mayWait }: { readonly order: string; readonly mayWait: boolean },
    read: (value: unknown, sent: Moment) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const route = mode === undefined ? this.#routes.exclusive : this.#routes.shared
      const keys = this.#keysOf(resource, mode)
      route.send({ keys, order, mayWait, read, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  #keysOf(resource: string, mode: LeaseMode | undefined): readonly string[] {
    const kind = kindOf(mode)
    if (kind === 'exclusive') {
      const { state, queue } = leaseKeys(this.#prefix, resource)
      return [state, queue]
    }
    const { state, ends, queue, slots } = sharedLeaseKeys(this.#prefix, resource, kind)
    return [state, ends, queue, slots]
  }
}

// Before what a step of `scripts/shared-steps.ts` says of an id.
function letterOf(mode: LeaseMode | undefined): '' | 'r' | 'w' | 'p' {
  switch (mode?.kind) {
    case undefined:
      return ''
    case 'read':
      return 'r'
    case 'write':
      return 'w'
    case 'permit':
      return 'p'
  }
}

function limitOf(mode: LeaseMode | undefined): string {
  if (mode === undefined) return ''
  return digits(mode.kind === 'permit' ? mode.limit : 1, 7)
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
