import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { Grant, LeaseRequest } from '../../ports/leases.ts'
import type { LeaseHarness } from './harness.ts'

/** How long one hop may take: far less than any long lease, far more than a busy machine needs. */
export const HOP_MS = 1_000
const LONG_TTL_MS = 60_000
const STEP_MS = 5

/** What a request may ask for beside its resource. */
export interface RequestOptions {
  readonly ttlMs?: number
  readonly allowProvisional?: boolean
  readonly meta?: Readonly<Record<string, string>>
}

/** A promise whose state can be seen. It may reject before anybody awaits it. */
export class Watched<T> {
  readonly promise: Promise<T>
  state: 'pending' | 'resolved' | 'rejected' = 'pending'

  constructor(promise: Promise<T>) {
    this.promise = promise
    promise.then(
      () => (this.state = 'resolved'),
      () => (this.state = 'rejected'),
    )
  }
}

/** A request that waits its turn. */
export interface Waiting extends Watched<Grant> {
  readonly request: LeaseRequest
}

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class Scene implements AsyncDisposable {
  readonly harness: LeaseHarness
  readonly #clients: Backend[] = []
  readonly #heals: (() => Promise<void>)[] = []

  constructor(harness: LeaseHarness) {
    this.harness = harness
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

  async client(): Promise<Backend> {
    const client = await this.within(this.harness.openBackend(), 10 * HOP_MS, 'opening a client')
    this.#clients.push(client)
    return client
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
  async probe(client: Backend, resource: string): Promise<'granted' | 'held'> {
    const outcome = await this.within(client.leases.tryGrant(this.request(client, resource)), HOP_MS, 'an answer')
    if (outcome.kind === 'granted') await this.release(client, outcome.grant)
    return outcome.kind
  }

  release(client: Backend, grant: Grant): Promise<'released' | 'lost'> {
    return this.within(client.leases.release(grant), HOP_MS, `releasing "${grant.request.resource}"`)
  }

  /** Asks for a resource and waits its turn in the background. */
  wait(client: Backend, resource: string, options: RequestOptions & { readonly signal?: AbortSignal } = {}): Waiting {
    const request = this.request(client, resource, options)
    return Object.assign(new Watched(client.leases.grant(request, options.signal)), { request })
  }

  /** Waits until the store shows that a request is in the queue. */
  async queued(client: Backend, waiting: Waiting): Promise<void> {
    const { resource, requestId } = waiting.request
    await this.eventually(async () => {
      const { waiters } = await client.leases.inspect(resource)
      return waiters.some(waiter => waiter.requestId === requestId)
    }, `the request ${requestId} was never seen in the queue of "${resource}"`)
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  async within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    const watched = new Watched(promise)
    await this.harness.advance(0)
    for (let passedMs = 0; watched.state === 'pending' && passedMs < ms; passedMs += STEP_MS) {
      await Promise.race([promise.catch(() => undefined), this.harness.advance(STEP_MS)])
    }
    if (watched.state === 'pending') assert.fail(`Waited ${ms} ms for ${what}.`)
    return promise
  }

  /** The error that a promise must reject with. */
  async rejection(promise: Promise<unknown>, ms: number, what: string): Promise<unknown> {
    const nothing = Symbol('nothing')
    const error = await this.within(
      promise.then(
        () => nothing,
        (reason: unknown) => reason,
      ),
      ms,
      what,
    )
    assert.notEqual(error, nothing, `It did not reject: ${what}.`)
    return error
  }

  /** Waits until the check holds; fails with what was wrong when it never does. */
  async eventually(check: () => Promise<boolean>, wrong: string, ms: number = HOP_MS): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      if (await this.within(check(), ms, wrong)) return
      await this.harness.advance(STEP_MS)
    }
    assert.fail(`After ${ms} ms, ${wrong}.`)
  }

  /** Nobody holds or waits any more: the store must keep nothing of them. */
  async nothingLeft(resource: string): Promise<void> {
    let left: readonly string[] = []
    const isEmpty = async (): Promise<boolean> => {
      left = await this.harness.leftovers(resource)
      return left.length === 0
    }
    await this.eventually(isEmpty, `the store still keeps something of "${resource}"`).catch((error: unknown) => {
      assert.deepEqual(left, [], `The store still keeps something of "${resource}".`)
      throw error
    })
  }

  /** Some turns of the event loop: finer than any sleep. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve))
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
    this.#heals.push(heal)
    return heal
  }

  /** How many requests the client has sent so far. */
  requests(client: Backend): number {
    const { requests } = this.harness
    return requests.kind === 'supported'
      ? requests.run(client)
      : assert.fail(`Nobody counts requests: ${requests.why}.`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#heals.map(heal => heal()))
    await this.within(Promise.all(this.#clients.map(client => client.close())), 10 * HOP_MS, 'closing the clients')
  }
}
