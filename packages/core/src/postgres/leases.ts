import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError, UnsupportedError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import { decodeMeta } from '../lease/options.ts'
import { Waiters } from '../lease/waiters.ts'
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
  readonly #waiters: Waiters

  constructor(parts: PostgresLeaseParts) {
    this.#parts = parts
    const { lifecycle, inbox } = parts
    this.#waiters = new Waiters({
      ...parts,
      isListening: () => inbox.isOpen,
      listen: async () => inbox.open(),
      checkOpen: () => lifecycle.checkOpen(),
    })
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#parts.connection.guarantee
  }

  newRequestId(): string {
    return this.#parts.ids.next()
  }

  tryGrant(request: LeaseRequest, signal?: AbortSignal): Promise<TryGrantOutcome> {
    return this.#waiters.tryGrant(request, signal)
  }

  grant(request: LeaseRequest, signal?: AbortSignal, queued?: () => void): Promise<Grant> {
    return this.#waiters.grant(request, signal, queued)
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
    this.#waiters.close(() => new ClosedError('postgres backend'))
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
