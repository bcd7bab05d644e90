import type { Clock } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline } from '../lease/deadline.ts'
import type { Grant, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import type { RedisConnection } from './connection.ts'
import { leaseKey } from './keys.ts'
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
    }

const TAKE_BACK_RETRY_MS = 100

/** The steps of `scripts/lease-steps.ts`, as functions. Each may be repeated with the same request and means the same. */
export class LeaseCommands {
  readonly claimMs: number
  readonly #clock: Clock
  readonly #connection: RedisConnection
  readonly #sender: StepSender
  readonly #prefix: string
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
  }

  /** Grows each time the server was connected to anew. */
  get epoch(): number {
    return this.#connection.epoch
  }

  ttlMsOf(request: LeaseRequest): number {
    return request.ttlMs ?? TTL_MS_DEFAULT
  }

  async acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome> {
    const ttlMs = this.ttlMsOf(request)
    const wait = options.mayQueue ? '1' : '0'
    const words = ['a', request.requestId, String(ttlMs), String(this.claimMs), wait, request.meta]
    const { sent, value } = await this.#sender.send({ key: this.#keyOf(request), words })
    const [kind, first, remainingMs, position] = value as readonly [string, unknown, number, number]
    if (kind === 'h') return { kind: 'held' }
    if (kind === 'q') return { kind: 'queued', sent, serverUs: Number(first), remainingMs, position }
    if (kind !== 'g') throw new InvariantError(`The acquire step answered ${JSON.stringify(value)}.`)
    const deadline = answeredDeadline(this.#clock, sent, ttlMs)
    const token = FencingToken.parse(String(first))
    return { kind: 'granted', grant: { request, token, ttlMs, deadline, isProvisional: false } }
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return await Promise.all(renewals.map((renewal) => this.#renew(renewal)))
  }

  async release(request: LeaseRequest): Promise<'released' | 'lost'> {
    const { value } = await this.#sender.send({ key: this.#keyOf(request), words: ['r', request.requestId] })
    return value === 1 ? 'released' : 'lost'
  }

  /** Takes back what a request may have left on the server, in the background, for as long as it could matter there. */
  takeBack(request: LeaseRequest): void {
    const work = this.#takeBack(request).finally(() => this.#takingBack.delete(work))
    this.#takingBack.add(work)
  }

  /** Settles when nothing is being taken back any more. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#takingBack)
  }

  async #renew({ grant, ttlMs }: Renewal): Promise<RenewOutcome> {
    const words = ['n', grant.request.requestId, String(ttlMs)]
    const { sent, value } = await this.#sender.send({ key: this.#keyOf(grant.request), words })
    if (value !== 1) return { kind: 'lost', reason: 'revoked' }
    return { kind: 'renewed', deadline: answeredDeadline(this.#clock, sent, ttlMs), ttlMs }
  }

  async #takeBack(request: LeaseRequest): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + this.ttlMsOf(request) + this.#connection.commandTimeoutMs
    while (!this.#connection.isClosed) {
      try {
        await this.release(request)
        return
      } catch {
        if (this.#clock.monotonicMs() >= untilMs) return
        await new Promise<void>((resolve) => this.#clock.setTimer(resolve, TAKE_BACK_RETRY_MS))
      }
    }
  }

  #keyOf(request: LeaseRequest): string {
    return leaseKey(this.#prefix, request.resource)
  }
}
