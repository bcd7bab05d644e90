import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError, UnsupportedError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { Asking } from '../lease/asking.ts'
import { leaseInfo } from '../lease/info.ts'
import { Lines } from '../lease/lines.ts'
import { decodeMeta } from '../lease/options.ts'
import { Waiter } from '../lease/waiter.ts'
import type { AcquireOutcome } from '../lease/waiting.ts'
import type {
  Grant,
  LeaseHolder,
  LeaseInfo,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import type { RequestIds } from '../request-ids.ts'
import type { PostgresConnection } from './connection.ts'
import type { LeaseCommands } from './lease-commands.ts'
import type { LeaseInbox } from './lease-inbox.ts'
import type { Schema } from './schema.ts'

/** What a `PostgresLeaseStore` works with. */
export interface PostgresLeaseParts {
  readonly clock: Clock
  readonly lifecycle: BackendLifecycle
  readonly connection: PostgresConnection
  readonly commands: LeaseCommands
  readonly inbox: LeaseInbox
  readonly ids: RequestIds
  readonly schema: Schema
}

/** A request that may wait. */
interface Wish {
  readonly request: LeaseRequest
  readonly signal: AbortSignal | undefined
  readonly queued: (() => void) | undefined
}

/** What `#inspectStatement` answers. */
interface StoredLease {
  readonly holder: readonly [request: string, meta: string, token: string, heldMs: number, remainingMs: number] | null
  readonly waiters: readonly (readonly [request: string, meta: string])[] | null
}

/** Leases in tables, one row a resource and one for each who waits. */
export class PostgresLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'exclusive'
  readonly #parts: PostgresLeaseParts
  readonly #waiting = new Set<Waiter>()
  readonly #lines = new Lines()
  readonly #asking = new Set<Asking>()

  constructor(parts: PostgresLeaseParts) {
    this.#parts = parts
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#parts.connection.guarantee
  }

  newRequestId(): string {
    return this.#parts.ids.next()
  }

  async tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    const outcome = await this.#ask(request, signal)
    return outcome.kind === 'granted' ? outcome : { kind: 'held' }
  }

  grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    const wish = { request, signal, queued }
    return this.#parts.inbox.isOpen ? this.#wait(wish) : this.#grantOrListen(wish)
  }

  async renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    this.#parts.lifecycle.checkUsable()
    return await this.#parts.commands.renew(renewals)
  }

  async release(grant: Grant): Promise<'released' | 'lost'> {
    this.#parts.lifecycle.checkUsable()
    return await this.#parts.commands.releaseInTurn(grant.request)
  }

  downgrade(): Promise<undefined> {
    return Promise.reject(new UnsupportedError('The postgres backend has exclusive leases only.'))
  }

  async inspect(resource: string): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    const text = this.#inspectStatement()
    const { rows } = await this.#parts.connection.within(client =>
      client.query<string[]>({ text, values: [resource], rowMode: 'array' }),
    )
    const { holder, waiters } = JSON.parse(String(rows[0]?.[0])) as StoredLease
    return leaseInfo(
      resource,
      holder === null ? [] : [holderOf(holder)],
      (waiters ?? []).map(([requestId, meta]) => ({ requestId, mode: 'exclusive', meta: decodeMeta(meta) })),
    )
  }

  /** The server says nothing of its own accord: what is lost shows at the next renewal, or at the deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits, and takes back what they asked for. */
  close(): void {
    for (const asking of [...this.#asking]) asking.giveUp(new ClosedError('postgres backend'))
    for (const waiter of [...this.#waiting]) waiter.giveUp(new ClosedError('postgres backend'))
  }

  // Who listens already asks for a place in the queue at once; the first time, that would be a connection too many for a
  // resource that is most often free.
  async #grantOrListen(wish: Wish): Promise<Grant> {
    const outcome = await this.#ask(wish.request, wish.signal)
    if (outcome.kind === 'granted') return outcome.grant
    wish.queued?.()
    this.#parts.inbox.open()
    return await this.#wait(wish)
  }

  #ask(request: LeaseRequest, signal: AbortSignal | undefined): Promise<AcquireOutcome> {
    this.#parts.lifecycle.checkOpen()
    signal?.throwIfAborted()
    const asked = this.#parts.commands.acquire(request, { mayQueue: false })
    return new Promise((resolve, reject) => {
      const asking = new Asking(request, asked, { resolve, reject })
      asking.follow(this.#parts.commands, this.#asking, signal)
    })
  }

  #wait({ request, signal, queued = () => {} }: Wish): Promise<Grant> {
    return new Promise<Grant>((resolve, reject) => {
      this.#parts.lifecycle.checkOpen()
      signal?.throwIfAborted()
      const over = (): void => {
        this.#waiting.delete(waiter)
        stopListening()
      }
      const waiter = new Waiter(
        request,
        { ...this.#parts, lines: this.#lines },
        {
          queued,
          resolve: grant => {
            over()
            resolve(grant)
          },
          reject: error => {
            over()
            reject(error)
          },
        },
      )
      this.#waiting.add(waiter)
      const stopListening = onAbort(signal, reason => waiter.giveUp(reason))
      waiter.ask()
    })
  }

  // One statement, and so one snapshot.
  #inspectStatement(): string {
    const schema = this.#parts.schema.quoted
    return `
      SELECT json_build_object(
        'holder', (SELECT json_build_array(l.holder, l.meta, l.token::text,
            extract(epoch FROM clock_timestamp() - l.since) * 1000, extract(epoch FROM l.ends_at - clock_timestamp()) * 1000)
          FROM ${schema}.leases l WHERE l.resource = $1 AND l.holder IS NOT NULL AND l.ends_at > clock_timestamp()),
        'waiters', (SELECT json_agg(json_build_array(w.request, w.meta) ORDER BY w.ticket)
          FROM ${schema}.lease_waiters w WHERE w.resource = $1))::text`
  }
}

function holderOf([requestId, meta, token, heldMs, remainingMs]: NonNullable<StoredLease['holder']>): LeaseHolder {
  return {
    requestId,
    mode: 'exclusive',
    meta: decodeMeta(meta),
    token: FencingToken.parse(token),
    slot: undefined,
    heldMs,
    remainingMs,
  }
}
