import type { Clock } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import type { Moment } from '../lease/deadline.ts'
import { answeredDeadline, momentOf } from '../lease/deadline.ts'
import { TakeBacks } from '../lease/take-backs.ts'
import type { AcquireOutcome, WaitingCommands } from '../lease/waiting.ts'
import type { Grant, LeaseKind, LeaseRequest, Renewal, RenewOutcome } from '../ports/leases.ts'
import { TTL_MS_DEFAULT, kindOf } from '../ports/leases.ts'
import type { PostgresConnection } from './connection.ts'
import type { Schema } from './schema.ts'

/** How many leases one call renews: their rows stay locked until it is done. */
const RENEWED_MAX = 1_000

interface Answer {
  readonly answer: string
  /** When it was asked for. */
  readonly sent: Moment
}

/** What the commands work with. */
export interface LeaseCommandsParts {
  readonly clock: Clock
  readonly connection: PostgresConnection
  readonly schema: Schema
  readonly claimMs: number
  /** Grows each time the server was connected to anew. */
  readonly epoch: () => number
  /** What is known of the inbox at which those who wait are told. */
  readonly inbox: () => WatchedInbox
}

/** Whether the server can see that somebody listens to an inbox. */
export interface WatchedInbox {
  /** By which key, while it can. */
  readonly watchKey: string | undefined
  /** How often its connection was lost: whoever waited until then may have been taken for gone. */
  readonly losses: number
}

/** A place in a queue, and how often the inbox had been lost by then. */
interface Place {
  readonly ticket: string
  readonly losses: number
}

/** The steps of `lease-functions.ts` and `shared-lease-functions.ts`, as functions. Each may be repeated with the same request and means the same. */
export class LeaseCommands implements WaitingCommands {
  readonly #parts: LeaseCommandsParts
  readonly #takeBacks: TakeBacks
  // By request: the last question that is on its way.
  readonly #asking = new Map<string, Promise<unknown>>()
  readonly #places = new WeakMap<LeaseRequest, Place>()
  #isClosed = false

  constructor(parts: LeaseCommandsParts) {
    this.#parts = parts
    this.#takeBacks = new TakeBacks({
      clock: parts.clock,
      release: request => this.releaseInTurn(request),
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
   * Gives back a lease that came by message, or what was given up. A question that is still on its way goes by another connection, and
   * would take the lease or a place anew if it came later, though it may be answered first: so its answer is waited for.
   */
  async releaseInTurn(request: LeaseRequest): Promise<'released' | 'lost'> {
    await this.#asking.get(request.requestId)?.catch(() => undefined)
    return await this.release(request)
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    const outcomes = new Map<Renewal, RenewOutcome>()
    await Promise.all(
      batchesOf(renewals).map(async ({ kind, batch }) => {
        const answered = await this.#renew(kind, batch)
        for (const [index, outcome] of answered.entries()) outcomes.set(batch[index] as Renewal, outcome)
      }),
    )
    return renewals.map(renewal => outcomes.get(renewal) as RenewOutcome)
  }

  async release(request: LeaseRequest): Promise<'released' | 'lost'> {
    const kind = kindOf(request.mode)
    const own = [request.resource, request.requestId]
    const { answer } =
      kind === 'exclusive'
        ? await this.#asked('release_lease_v1($1, $2, $3)', own)
        : await this.#asked('release_shared_lease_v1($1, $2, $3, $4)', [kind, ...own])
    if (answer === 'released' || answer === 'lost') return answer
    throw new InvariantError(`The release of a lease was answered ${answer}.`)
  }

  /** As `LeaseStore.downgrade`. */
  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    const { resource, requestId } = from.request
    const { answer, sent } = await this.#asked('downgrade_lease_v1($1, $2, $3, $4, $5, $6)', [
      resource,
      requestId,
      to.requestId,
      this.ttlMsOf(to),
      to.meta,
    ])
    return answer === 'lost' ? undefined : this.#granted(to, answer.split(' '), sent)
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
    const { losses } = this.#parts.inbox()
    const { answer, sent } = await this.#askedFor(request, options)
    const words = answer.split(' ')
    switch (words[0]) {
      case 'granted':
        return { kind: 'granted', grant: this.#granted(request, words, sent) }
      case 'held':
        return { kind: 'held' }
      case 'queued': {
        const [serverUs, remainingMs, position, isNew] = words.slice(1).map(Number) as [number, number, number, number]
        this.#places.set(request, { ticket: words[5] ?? '', losses })
        return { kind: 'queued', sent, serverUs, remainingMs, position, isNew: isNew === 1 }
      }
      default:
        throw new InvariantError(`The question for a lease was answered ${answer}.`)
    }
  }

  #askedFor(request: LeaseRequest, { mayQueue }: { readonly mayQueue: boolean }): Promise<Answer> {
    const { resource, requestId, mode, meta } = request
    const wish = [this.ttlMsOf(request), mayQueue ? this.#parts.claimMs : 0, meta, ...this.#standingOf(request)]
    if (mode === undefined) {
      return this.#asked('acquire_lease_v1($1, $2, $3, $4, $5, $6, $7, $8)', [resource, requestId, ...wish])
    }
    const capacity = mode.kind === 'permit' ? mode.limit : 1
    const values = [kindOf(mode), resource, requestId, mode.kind, capacity, ...wish]
    return this.#asked('acquire_shared_lease_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', values)
  }

  // Only one who may have been taken for gone comes back to where it was: who let a lease go by waits anew, behind the others.
  #standingOf(request: LeaseRequest): readonly [watchKey: string | null, ticket: string | null] {
    const { watchKey = null, losses } = this.#parts.inbox()
    const place = this.#places.get(request)
    return [watchKey, place !== undefined && place.losses < losses ? place.ticket : null]
  }

  #granted(request: LeaseRequest, [kind, token = '', slot]: readonly string[], sent: Moment): Grant {
    if (kind !== 'granted') throw new InvariantError(`The question for a lease was answered ${kind}.`)
    const ttlMs = this.ttlMsOf(request)
    return {
      request,
      token: FencingToken.parse(token),
      slot: slot === undefined ? undefined : Number(slot),
      ttlMs,
      deadline: answeredDeadline(this.#parts.clock, sent, ttlMs),
      isProvisional: false,
    }
  }

  async #renew(kind: LeaseKind, renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    const values = [
      renewals.map(({ grant }) => grant.request.resource),
      renewals.map(({ grant }) => grant.request.requestId),
      renewals.map(({ ttlMs }) => ttlMs),
    ]
    const { answer, sent } =
      kind === 'exclusive'
        ? await this.#asked('renew_leases_v1($1, $2, $3, $4)', values)
        : await this.#asked('renew_shared_leases_v1($1, $2, $3, $4, $5)', [kind, ...values])
    return renewals.map(({ ttlMs }, index) =>
      answer[index] === '1'
        ? { kind: 'renewed', deadline: answeredDeadline(this.#parts.clock, sent, ttlMs), ttlMs }
        : { kind: 'lost', reason: 'revoked' },
    )
  }

  // Who waits for a row says how long, as the last parameter: so that he has given up, and is heard, before his caller gives up.
  async #asked(call: string, values: readonly unknown[]): Promise<Answer> {
    const text = `SELECT ${this.#parts.schema.quoted}.${call}`
    return await this.#parts.connection.within(async (client, remainingMs) => {
      const patienceMs = Math.max(1, Math.floor(remainingMs * 0.9))
      const sent = momentOf(this.#parts.clock)
      const { rows } = await client.query<string[]>({ text, values: [...values, patienceMs], rowMode: 'array' })
      return { answer: String(rows[0]?.[0]), sent }
    })
  }
}

function batchesOf(renewals: readonly Renewal[]): readonly { kind: LeaseKind; batch: Renewal[] }[] {
  const batches: { kind: LeaseKind; batch: Renewal[] }[] = []
  const open = new Map<LeaseKind, Renewal[]>()
  for (const renewal of renewals) {
    const kind = kindOf(renewal.grant.request.mode)
    let batch = open.get(kind)
    if (batch === undefined || batch.length === RENEWED_MAX) {
      batch = []
      open.set(kind, batch)
      batches.push({ kind, batch })
    }
    batch.push(renewal)
  }
  return batches
}
