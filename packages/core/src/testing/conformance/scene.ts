import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { Grant, LeaseMode, LeaseRequest } from '../../ports/leases.ts'
import { kindOf } from '../../ports/leases.ts'
import type { LeaseHarness } from './harness.ts'
import { HOP_MS, Stage, Watched } from './stage.ts'

const LONG_TTL_MS = 60_000

/** What a request may ask for beside its resource. */
export interface RequestOptions {
  /** Beside whom it is held. @default alone */
  readonly mode?: LeaseMode
  readonly ttlMs?: number
  readonly allowProvisional?: boolean
  readonly meta?: Readonly<Record<string, string>>
}

interface WithSignal {
  readonly signal?: AbortSignal
}

/** A request that waits its turn. */
export interface Waiting extends Watched<Grant> {
  readonly request: LeaseRequest
  /** Whether the store has told it that it is not yet its turn. */
  readonly told: { isQueued: boolean }
}

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class Scene implements AsyncDisposable {
  readonly harness: LeaseHarness
  readonly #stage: Stage

  constructor(harness: LeaseHarness) {
    this.harness = harness
    this.#stage = new Stage(harness)
  }

  get ttlMs(): number {
    return this.harness.ttlMs
  }

  resource(): string {
    return this.harness.resource()
  }

  /** A TTL that does not pass during a case. (A session's lease lasts as long as its client.) */
  longTtlMs(client: Backend): number {
    return client.leases.renewal === 'each' ? LONG_TTL_MS : this.ttlMs
  }

  client(): Promise<Backend> {
    return this.#stage.client()
  }

  async twoClients(): Promise<[Backend, Backend]> {
    return [await this.client(), await this.client()]
  }

  async threeClients(): Promise<[Backend, Backend, Backend]> {
    return [await this.client(), await this.client(), await this.client()]
  }

  request(client: Backend, resource: string, options: RequestOptions = {}): LeaseRequest {
    return {
      resource,
      requestId: client.leases.newRequestId(),
      mode: options.mode,
      ttlMs: options.ttlMs ?? this.longTtlMs(client),
      allowProvisional: options.allowProvisional ?? false,
      meta: JSON.stringify(options.meta ?? {}),
    }
  }

  /** Takes a resource that must be free. */
  async take(client: Backend, resource: string, options?: RequestOptions): Promise<Grant> {
    return this.takeBy(client, this.request(client, resource, options))
  }

  async takeBy(client: Backend, request: LeaseRequest): Promise<Grant> {
    const outcome = await this.within(client.leases.tryGrant(request), HOP_MS, `an answer for "${request.resource}"`)
    if (outcome.kind === 'granted') return outcome.grant
    return assert.fail(`"${request.resource}" is free, and the store says that another holds it.`)
  }

  /** `granted` or `held`; what it is granted it gives back. */
  async probe(client: Backend, resource: string, options?: RequestOptions): Promise<'granted' | 'held'> {
    const request = this.request(client, resource, options)
    const outcome = await this.within(client.leases.tryGrant(request), HOP_MS, 'an answer')
    if (outcome.kind === 'granted') await this.release(client, outcome.grant)
    return outcome.kind
  }

  release(client: Backend, grant: Grant): Promise<'released' | 'lost'> {
    return this.within(client.leases.release(grant), HOP_MS, `releasing "${grant.request.resource}"`)
  }

  /** Asks for a resource and waits its turn in the background. */
  wait(client: Backend, resource: string, options: RequestOptions & WithSignal = {}): Waiting {
    const request = this.request(client, resource, options)
    const told = { isQueued: false }
    const queued = (): void => void (told.isQueued = true)
    return Object.assign(new Watched(client.leases.grant(request, options.signal, queued)), { request, told })
  }

  /** As `wait`, and returns once the store shows the request in its queue. */
  async line(client: Backend, resource: string, options?: RequestOptions & WithSignal): Promise<Waiting> {
    const waiting = this.wait(client, resource, options)
    await this.queued(client, waiting)
    return waiting
  }

  /** Waits until the store shows that a request is in the queue; where it shows nobody who waits, until it has told the request so. */
  async queued(client: Backend, waiting: Waiting): Promise<void> {
    const { resource, requestId, mode } = waiting.request
    await this.eventually(async () => {
      if (this.harness.waiters === 'unlisted') return waiting.told.isQueued
      const { waiters } = await client.leases.inspect(resource, kindOf(mode))
      return waiters.some(waiter => waiter.requestId === requestId)
    }, `the request ${requestId} was never seen in the queue of "${resource}"`)
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    return this.#stage.within(promise, ms, what)
  }

  /** The error that a promise must reject with. */
  rejection(promise: Promise<unknown>, ms: number, what: string): Promise<unknown> {
    return this.#stage.rejection(promise, ms, what)
  }

  /** Waits until the check holds; fails with what was wrong when it never does. */
  eventually(check: () => Promise<boolean>, wrong: string, ms?: number): Promise<void> {
    return this.#stage.eventually(check, wrong, ms)
  }

  /** Nobody holds or waits any more: the store must keep nothing of them. */
  nothingLeft(resource: string): Promise<void> {
    return this.#stage.nothingLeft(resource)
  }

  /** Some turns of the event loop: finer than any sleep. */
  turns(count: number): Promise<void> {
    return this.#stage.turns(count)
  }

  /** From now on nothing that the client holds is prolonged. */
  async stopRenewing(client: Backend): Promise<() => Promise<void>> {
    if (client.leases.renewal === 'each') return async () => {}
    return this.silence(client)
  }

  async silence(client: Backend): Promise<() => Promise<void>> {
    const { silence } = this.harness
    if (silence.kind === 'unsupported') return assert.fail(`The harness cannot silence a client: ${silence.why}.`)
    const heal = await silence.run(client)
    this.#stage.healAtEnd(heal)
    return heal
  }

  /** How many requests the client has sent so far. */
  requests(client: Backend): number {
    const { requests } = this.harness
    return requests.kind === 'supported'
      ? requests.run(client)
      : assert.fail(`Nobody counts requests: ${requests.why}.`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]()
  }
}
