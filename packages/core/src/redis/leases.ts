import { onAbort, orAborted } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError } from '../errors.ts'
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
import type { Inbox } from './inbox.ts'
import { readLeaseInfo } from './inspect.ts'
import { leaseKeys } from './keys.ts'
import type { AcquireOutcome, LeaseCommands } from './lease-commands.ts'
import { Lines } from './lines.ts'
import { Waiter } from './waiter.ts'

/** What a `RedisLeaseStore` works with. */
export interface RedisLeaseParts {
  readonly clock: Clock
  readonly lifecycle: BackendLifecycle
  readonly connection: RedisConnection
  readonly commands: LeaseCommands
  readonly inbox: Inbox
  readonly ids: RequestIds
  readonly prefix: string
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

  async inspect(resource: string): Promise<LeaseInfo> {
    this.#parts.lifecycle.checkOpen()
    const { state, queue } = leaseKeys(this.#parts.prefix, resource)
    const [text, waiters, time] = await this.#parts.connection.within(client =>
      Promise.all([client.get(state), client.hgetall(queue), client.time()]),
    )
    return readLeaseInfo(resource, { state: text ?? '', queue: waiters }, Number(time[0]) * 1_000_000 + Number(time[1]))
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

/** A question that may not queue, on its way: it is answered, aborted, or ended by closing. Methods, not closures: it is in each use. */
class Asking {
  readonly #request: LeaseRequest
  readonly #asked: Promise<AcquireOutcome>
  readonly #settle: { readonly resolve: (outcome: AcquireOutcome) => void; readonly reject: (error: unknown) => void }
  #commands: LeaseCommands | undefined
  #all: Set<Asking> | undefined
  #stopListening: (() => void) | undefined

  constructor(
    request: LeaseRequest,
    asked: Promise<AcquireOutcome>,
    settle: { readonly resolve: (outcome: AcquireOutcome) => void; readonly reject: (error: unknown) => void },
  ) {
    this.#request = request
    this.#asked = asked
    this.#settle = settle
  }

  follow(commands: LeaseCommands, all: Set<Asking>, signal: AbortSignal | undefined): void {
    this.#commands = commands
    this.#all = all
    all.add(this)
    if (signal !== undefined) this.#stopListening = onAbort(signal, reason => this.giveUp(reason))
    this.#asked.then(
      outcome => {
        if (this.#end()) this.#settle.resolve(outcome)
      },
      (error: unknown) => this.giveUp(error),
    )
  }

  /** Takes back what was asked for. */
  giveUp(reason: unknown): void {
    if (!this.#end()) return
    this.#commands?.takeBack(this.#request, this.#asked)
    this.#settle.reject(reason)
  }

  #end(): boolean {
    this.#stopListening?.()
    return this.#all?.delete(this) ?? false
  }
}
