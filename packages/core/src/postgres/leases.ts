import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError } from '../errors.ts'
import { Waiters } from '../lease/waiters.ts'
import type {
  Grant,
  LeaseInfo,
  LeaseKind,
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
import { inspectStatement, readLeaseInfo } from './lease-inspect.ts'
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

/** Leases in tables: one row a resource, one for each who waits, and one for each who holds beside others. */
export class PostgresLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'all'
  readonly #parts: PostgresLeaseParts
  readonly #waiters: Waiters

  constructor(parts: PostgresLeaseParts) {
    this.#parts = parts
    const { lifecycle, inbox } = parts
    this.#waiters = new Waiters({
      ...parts,
      isListening: () => inbox.isOpen,
      listen: () => inbox.open(),
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

  async downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    this.#parts.lifecycle.checkUsable()
    return await this.#parts.commands.downgrade(from, to)
  }

  async inspect(resource: string, kind: LeaseKind = 'exclusive'): Promise<LeaseInfo> {
    const { lifecycle, connection, schema } = this.#parts
    lifecycle.checkOpen()
    const { text, values } = inspectStatement(schema.quoted, resource, kind)
    const { rows } = await connection.within(client =>
      client.query<string[]>({ text, values: [...values], rowMode: 'array' }),
    )
    return readLeaseInfo(resource, String(rows[0]?.[0]))
  }

  /** The server says nothing of its own accord: what is lost shows at the next renewal, or at the deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits, and takes back what they asked for. */
  close(): void {
    this.#waiters.close(() => new ClosedError('postgres backend'))
  }
}
