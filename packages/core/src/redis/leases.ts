import type { Redis } from 'ioredis'
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
import type { RedisConnection } from './connection.ts'
import type { LeaseInbox } from './inbox.ts'
import { readLeaseInfo, readSharedLeaseInfo } from './inspect.ts'
import { leaseKeys, sharedLeaseKeys } from './keys.ts'
import type { LeaseCommands } from './lease-commands.ts'

/** What a `RedisLeaseStore` works with. */
export interface RedisLeaseParts {
  readonly clock: Clock
  readonly lifecycle: BackendLifecycle
  readonly connection: RedisConnection
  readonly commands: LeaseCommands
  readonly inbox: LeaseInbox
  readonly ids: RequestIds
  readonly prefix: string
  /** What time it is on the server that has the key, as `TIME` answers. */
  readonly timeOf: (client: Redis, key: string) => Promise<unknown>
}

/** Leases in one Redis. */
export class RedisLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'all'
  readonly #parts: RedisLeaseParts
  readonly #waiters: Waiters

  constructor(parts: RedisLeaseParts) {
    this.#parts = parts
    const { connection, inbox, lifecycle } = parts
    this.#waiters = new Waiters({
      ...parts,
      isListening: () => inbox.isListening,
      listen: () => connection.within(client => inbox.listen(client)),
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

  renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return this.#parts.commands.renew(renewals)
  }

  release(grant: Grant): Promise<'released' | 'lost'> {
    return this.#parts.commands.release(grant.request)
  }

  downgrade(from: Grant, to: LeaseRequest): Promise<Grant | undefined> {
    return this.#parts.commands.downgrade(from, to)
  }

  async inspect(resource: string, kind: LeaseKind = 'exclusive'): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    return kind === 'exclusive' ? await this.#inspectExclusive(resource) : await this.#inspectShared(resource, kind)
  }

  /** The server says nothing of its own accord: what is lost shows at the next renewal, or at the deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits, and takes back what they asked for. */
  close(): void {
    this.#waiters.close(() => new ClosedError('redis backend'))
  }

  async #inspectExclusive(resource: string): Promise<LeaseInfo> {
    const { state, queue } = leaseKeys(this.#parts.prefix, resource)
    const [text, waiters, time] = await this.#parts.connection.within(client =>
      Promise.all([client.get(state), client.hgetall(queue), this.#parts.timeOf(client, state)]),
    )
    return readLeaseInfo(resource, { state: text ?? '', queue: waiters }, nowUsOf(time))
  }

  async #inspectShared(resource: string, kind: 'read-write' | 'permits'): Promise<LeaseInfo> {
    const { state, ends, queue } = sharedLeaseKeys(this.#parts.prefix, resource, kind)
    const [holders, until, waiters, time] = await this.#parts.connection.within(client =>
      Promise.all([
        client.hgetall(state),
        client.zrange(ends, 0, '-1', 'WITHSCORES'),
        client.hgetall(queue),
        this.#parts.timeOf(client, state),
      ]),
    )
    return readSharedLeaseInfo(resource, { holders, ends: until, queue: waiters }, nowUsOf(time))
  }
}

function nowUsOf(time: unknown): number {
  const [seconds, us] = time as readonly [unknown, unknown]
  return Number(seconds) * 1_000_000 + Number(us)
}
