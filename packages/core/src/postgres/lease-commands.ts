import type { Clock } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import { TakeBacks } from '../lease/take-backs.ts'
import type { AcquireOutcome, WaitingCommands } from '../lease/waiting.ts'
import type { LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { TTL_MS_DEFAULT } from '../ports/leases.ts'
import type { PostgresConnection } from './connection.ts'
import type { Schema } from './schema.ts'

/** How many leases one call renews: their rows stay locked until it is done. */
const RENEWED_MAX = 1_000

/** What the commands work with. */
export interface LeaseCommandsParts {
  readonly clock: Clock
  readonly connection: PostgresConnection
  readonly schema: Schema
  readonly claimMs: number
  /** Grows each time the server was connected to anew. */
  readonly epoch: () => number
}

/** The steps of `lease-functions.ts`, as functions. Each may be repeated with the same request and means the same. */
export class LeaseCommands implements WaitingCommands {
  readonly #parts: LeaseCommandsParts
  readonly #takeBacks: TakeBacks
  // By request: the last question that is on its way.
  readonly #asking = new Map<string, Promise<unknown>>()
  #isClosed = false

  constructor(parts: LeaseCommandsParts) {
    this.#parts = parts
    this.#takeBacks = new TakeBacks({
      clock: parts.clock,
      release: request => this.release(request),
      patienceMsOf: request => this.ttlMsOf(request) + parts.connection.commandTimeoutMs,
      isClosed: () => this.#isClosed,
    })
  }

  get epoch(): number {
    return this.#parts.epoch()
  }

  ttlMsOf(request: LeaseRequest): number {
    return request.ttlMs ?? TTL_MS_DEFAULT
  }

  acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome> {
    const { requestId } = request
    const asking = this.#acquire(request, options).finally(() => {
      if (this.#asking.get(requestId) === asking) this.#asking.delete(requestId)
    })
    this.#asking.set(requestId, asking)
    return asking
  }

  /**
   * Gives back a lease that came by message. A question that is still on its way goes by another connection, and would take
   * the lease anew if it came later: so its answer is waited for.
   */
  async releaseInTurn(request: LeaseRequest): Promise<'released' | 'lost'> {
    await this.#asking.get(request.requestId)?.catch(() => undefined)
    return await this.release(request)
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    const batches: Promise<readonly RenewOutcome[]>[] = []
    for (let at = 0; at < renewals.length; at += RENEWED_MAX) {
      batches.push(this.#renew(renewals.slice(at, at + RENEWED_MAX)))
    }
    return (await Promise.all(batches)).flat()
  }

  async release(request: LeaseRequest): Promise<'released' | 'lost'> {
    const { answer } = await this.#asked('release_lease_v1($1, $2, $3)', [request.resource, request.requestId])
    if (answer === 'released' || answer === 'lost') return answer
    throw new InvariantError(`release_lease_v1 answered ${answer}.`)
  }

  takeBack(request: LeaseRequest, asked: Promise<unknown> | undefined): void {
    this.#takeBacks.start(request, asked)
  }

  /** Settles when nothing is being taken back any more. */
  idle(): Promise<void> {
    return this.#takeBacks.idle()
  }

  /** What is not taken back by now ends with its TTL. */
  close(): void {
    this.#isClosed = true
  }

  async #acquire(request: LeaseRequest, options: { readonly mayQueue: boolean }): Promise<AcquireOutcome> {
    const ttlMs = this.ttlMsOf(request)
    const claimMs = options.mayQueue ? this.#parts.claimMs : 0
    const { answer, sent } = await this.#asked('acquire_lease_v1($1, $2, $3, $4, $5, $6)', [
      request.resource,
      request.requestId,
      ttlMs,
      claimMs,
      request.meta,
    ])
    const [kind, first = '', ...rest] = answer.split(' ')
    switch (kind) {
      case 'granted': {
        const deadline = answeredDeadline(this.#parts.clock, sent, ttlMs)
        const token = FencingToken.parse(first)
        return { kind, grant: { request, token, ttlMs, deadline, isProvisional: false } }
      }
      case 'held':
        return { kind }
      case 'queued': {
        const [remainingMs, position, isNew] = rest.map(Number) as [number, number, number]
        return { kind, sent, serverUs: Number(first), remainingMs, position, isNew: isNew === 1 }
      }
      default:
        throw new InvariantError(`acquire_lease_v1 answered ${answer}.`)
    }
  }

  async #renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    const { answer, sent } = await this.#asked('renew_leases_v1($1, $2, $3, $4)', [
      renewals.map(({ grant }) => grant.request.resource),
      renewals.map(({ grant }) => grant.request.requestId),
      renewals.map(({ ttlMs }) => ttlMs),
    ])
    return renewals.map(({ ttlMs }, index) =>
      answer[index] === '1'
        ? { kind: 'renewed', deadline: answeredDeadline(this.#parts.clock, sent, ttlMs), ttlMs }
        : { kind: 'lost', reason: 'revoked' },
    )
  }

  // Who waits for a row says how long, as the last parameter: so that he has given up, and is heard, before his caller gives up.
  async #asked(call: string, values: readonly unknown[]): Promise<{ readonly answer: string; readonly sent: Moment }> {
    const text = `SELECT ${this.#parts.schema.quoted}.${call}`
    return await this.#parts.connection.within(async (client, remainingMs) => {
      const patienceMs = Math.max(1, Math.floor(remainingMs * 0.9))
      const sent = momentOf(this.#parts.clock)
      const { rows } = await client.query<string[]>({ text, values: [...values, patienceMs], rowMode: 'array' })
      return { answer: String(rows[0]?.[0]), sent }
    })
  }
}
