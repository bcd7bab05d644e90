import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '@holdfast/core/testing'
import { createFaultProxy } from '@holdfast/core/testing'
import { monotonicMs } from '../monotonic.ts'
import type { BackendKind } from '../scenario.ts'
import type { SingleSite, Site } from '../sites/site.ts'
import type { HoldReport, LockKind } from '../worker/protocol.ts'
import { Actor } from './actor.ts'
import type { TakeOptions } from './actor.ts'
import type { WorkerPool } from './pool.ts'

/** A proxy, or one server of several. */
export interface Door {
  readonly port: number
}

/** How an actor comes on. */
export interface ActorOptions {
  /** What the locks are reached through. @default straight */
  readonly lockVia?: Door
  /** What the protected data are reached through. @default straight */
  readonly dataVia?: Door
  /** @default 'holdfast' */
  readonly lock?: LockKind
  /** ZooKeeper's timeout, when it is not to be the site's. */
  readonly sessionMs?: number
  /** Whether to wait until its server has answered. @default true */
  readonly isReady?: boolean
}

const NAIVE_QUEUE_MS = 100
const PROTOCOLS = {
  memory: 'redis',
  redis: 'redis',
  sentinel: 'redis',
  quorum: 'redis',
  zookeeper: 'zookeeper',
  ensemble: 'zookeeper',
  postgres: 'postgres',
} as const satisfies Record<BackendKind, unknown>

let resources = 0

/** Where one run takes place: a resource of its own, the server, and the processes and proxies that it asked for. */
export class Stage<S extends Site = SingleSite> implements AsyncDisposable {
  readonly site: S
  readonly resource: string = `stock-${process.pid}-${++resources}`
  readonly #pool: WorkerPool
  readonly #actors: Actor[] = []
  readonly #proxies: FaultProxy[] = []
  #waitingFor = 'its first step'
  #isOver = false

  constructor(site: S, pool: WorkerPool) {
    this.site = site
    this.#pool = pool
  }

  /** The last thing that the run said it waits for. */
  get waitingFor(): string {
    return this.#waitingFor
  }

  /** What was thrown in workers and caught by nobody. */
  get mishaps(): readonly string[] {
    return this.#actors.flatMap(actor => actor.worker.mishaps)
  }

  /** A worker process with a client of the locks and of the data. */
  async actor(name: string, options: ActorOptions = {}): Promise<Actor> {
    const { lockVia, dataVia, sessionMs, lock = 'holdfast', isReady = true } = options
    if (this.#isOver) throw new Error('The run is over.')
    this.#waitingFor = `the process of ${name}`
    const actor = new Actor(name, await this.#pool.take(), { resource: this.resource, ttlMs: this.site.ttlMs, lock })
    this.#actors.push(actor)
    const place = this.site.place({ lockPort: lockVia?.port, dataPort: dataVia?.port, sessionMs })
    await actor.open(place, lock, { isReady })
    return actor
  }

  async proxy(): Promise<FaultProxy> {
    const { kind, port } = this.site
    const protocol = PROTOCOLS[kind]
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port }, protocol })
    this.#proxies.push(proxy)
    return proxy
  }

  /** Waits for something, and says so should it never come. */
  async step<T>(what: string, work: Promise<T>): Promise<T> {
    this.#waitingFor = what
    return await work
  }

  /** Undefined when it does not come within `boundMs`. */
  async within<T>(boundMs: number, what: string, work: Promise<T>): Promise<T | undefined> {
    const abort = new AbortController()
    const timer = sleep(Math.max(0, boundMs), undefined, { signal: abort.signal }).catch(() => undefined)
    return await this.step(
      what,
      Promise.race([work, timer]).finally(() => abort.abort()),
    )
  }

  /** Looks again and again until it is so; false when it is not within `boundMs`. */
  async becomes(what: string, isSo: () => boolean | Promise<boolean>, boundMs: number = Infinity): Promise<boolean> {
    this.#waitingFor = what
    const endMs = monotonicMs() + boundMs
    while (!(await isSo())) {
      if (monotonicMs() >= endMs || this.#isOver) return false
      await sleep(5)
    }
    return true
  }

  /** Puts an actor in the queue, behind those who are there. The promise in the answer is that of its grant. */
  async queueUp(actor: Actor, options?: TakeOptions): Promise<{ readonly grant: Promise<HoldReport | undefined> }> {
    const isSeen = actor.lock === 'holdfast'
    const waiting = isSeen ? await this.site.waiters(this.resource) : 0
    const grant = actor.take(options)
    // The queue of a naive lock cannot be seen.
    if (!isSeen) await sleep(NAIVE_QUEUE_MS)
    else
      await this.becomes(`the place of ${actor.name}`, async () => (await this.site.waiters(this.resource)) > waiting)
    return { grant }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    for (const actor of this.#actors) {
      if (actor.isUnharmed) this.#pool.giveBack(actor.worker)
      else await actor.worker.signal('SIGKILL')
    }
    // Not before the actors are gone: a lock that is given back passes through.
    await sleep(0)
    for (const proxy of this.#proxies) proxy.heal()
    await Promise.all(this.#proxies.map(proxy => proxy.close()))
  }
}
