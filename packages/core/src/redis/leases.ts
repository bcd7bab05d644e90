import type { Redis } from 'ioredis'
import { onAbort, orAborted } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError, UnsupportedError } from '../errors.ts'
import { Asking } from '../lease/asking.ts'
import { Lines } from '../lease/lines.ts'
import { Waiter } from '../lease/waiter.ts'
import type { AcquireOutcome } from '../lease/waiting.ts'
import type {
  Grant,
  LeaseInfo,
  LeaseRequest,
  LeaseStore,
  Renewal,
  RenewOutcome,
  TryGrantOutcome,
} from '../ports/leases.ts'
import type { RequestIds } from '../request-ids.ts'
import type { RedisConnection } from './connection.ts'
import type { LeaseInbox } from './inbox.ts'
import { readLeaseInfo } from './inspect.ts'
import { leaseKeys } from './keys.ts'
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

/** A request that may wait. */
interface Wish {
  readonly request: LeaseRequest
  readonly signal: AbortSignal | undefined
  readonly queued: (() => void) | undefined
}

/** Leases in one Redis. */
export class RedisLeaseStore implements LeaseStore {
  readonly renewal = 'each'
  readonly modes = 'exclusive'
  readonly #parts: RedisLeaseParts
  readonly #waiting = new Set<Waiter>()
  readonly #lines = new Lines()
  readonly #asking = new Set<Asking>()

  constructor(parts: RedisLeaseParts) {
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
    return this.#parts.inbox.isListening ? this.#wait(wish) : this.#grantOrListen(wish)
  }

  renew(renewals: readonly Renewal[]): Promise<readonly RenewOutcome[]> {
    return this.#parts.commands.renew(renewals)
  }

  release(grant: Grant): Promise<'released' | 'lost'> {
    return this.#parts.commands.release(grant.request)
  }

  downgrade(): Promise<undefined> {
    return Promise.reject(new UnsupportedError('The redis backend has exclusive leases only.'))
  }

  async inspect(resource: string): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    const { state, queue } = leaseKeys(this.#parts.prefix, resource)
    const [text, waiters, time] = await this.#parts.connection.within(client =>
      Promise.all([client.get(state), client.hgetall(queue), this.#parts.timeOf(client, state)]),
    )
    const [seconds, us] = time as readonly [unknown, unknown]
    return readLeaseInfo(resource, { state: text ?? '', queue: waiters }, Number(seconds) * 1_000_000 + Number(us))
  }

  /** The server says nothing of its own accord: what is lost shows at the next renewal, or at the deadline. */
  onLost(): () => void {
    return () => {}
  }

  /** Rejects everybody who waits, and takes back what they asked for. */
  close(): void {
    for (const asking of [...this.#asking]) asking.giveUp(new ClosedError('redis backend'))
    for (const waiter of [...this.#waiting]) waiter.giveUp(new ClosedError('redis backend'))
  }

  // Who listens already asks for a place in the queue at once; the first time, that would be a connection too many for a
  // resource that is most often free.
  async #grantOrListen(wish: Wish): Promise<Grant> {
    const outcome = await this.#ask(wish.request, wish.signal)
    if (outcome.kind === 'granted') return outcome.grant
    wish.queued?.()
    await orAborted(this.#listen(), wish.signal)
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

  async #listen(): Promise<void> {
    const { inbox, connection } = this.#parts
    await connection.within(client => inbox.listen(client))
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
}
