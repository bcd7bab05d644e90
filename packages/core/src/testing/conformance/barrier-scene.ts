import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { BarrierStore, BarrierWait, Membership } from '../../ports/barriers.ts'
import type { BarrierHarness, BarrierPromise } from './barrier-harness.ts'
import type { Capability } from './harness.ts'
import { HOP_MS, Stage, Watched } from './stage.ts'

/** How long a call may take that waits for nobody, on a busy machine. */
export const ANSWER_MS: number = 2 * HOP_MS
/** For how long nothing happens where nothing should. */
const QUIET_MS = 60
/** How much later than its TTL a party may still count as in (B5). */
export const END_MS_MAX = 2_000

/** What a world may be unable to do to itself. */
export type BarrierCapability = 'silence' | 'cut'

/** A behaviour, before it is bound to a harness. */
export interface BarrierCase {
  readonly promise: BarrierPromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: readonly BarrierCapability[]
  readonly body: (scene: BarrierScene) => Promise<void>
}

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class BarrierScene implements AsyncDisposable {
  readonly harness: BarrierHarness
  readonly #stage: Stage

  constructor(harness: BarrierHarness) {
    this.harness = harness
    this.#stage = new Stage(harness)
  }

  barrier(): string {
    return this.harness.barrier()
  }

  client(): Promise<Backend> {
    return this.#stage.client()
  }

  async twoClients(): Promise<readonly [Backend, Backend]> {
    return [await this.client(), await this.client()]
  }

  async threeClients(): Promise<readonly [Backend, Backend, Backend]> {
    return [await this.client(), await this.client(), await this.client()]
  }

  async clients(count: number): Promise<readonly Backend[]> {
    const clients: Backend[] = []
    while (clients.length < count) clients.push(await this.client())
    return clients
  }

  store(client: Backend): BarrierStore {
    return this.harness.barriersOf(client)
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  soon<T>(promise: Promise<T>, what: string, ms: number = ANSWER_MS): Promise<T> {
    return this.#stage.within(promise, ms, what)
  }

  rejection(promise: Promise<unknown>, what: string): Promise<unknown> {
    return this.#stage.rejection(promise, ANSWER_MS, what)
  }

  shut(client: Backend, barrier: string): Promise<void> {
    return this.soon(this.store(client).shut(barrier), 'a barrier to be shut')
  }

  open(client: Backend, barrier: string): Promise<void> {
    return this.soon(this.store(client).open(barrier), 'a barrier to be opened')
  }

  isShut(client: Backend, barrier: string): Promise<boolean> {
    return this.soon(this.store(client).isShut(barrier), 'whether a barrier is shut')
  }

  /** Waits for it to open; resolves with what is watched once the store has said that it is shut. */
  async waiting(client: Backend, barrier: string, signal?: AbortSignal): Promise<Watched<void>> {
    return await this.#told(wait => this.store(client).untilOpen(barrier, { ...wait, signal }))
  }

  /** Enters; may be in at once. */
  enter(client: Backend, barrier: string, parties: number, wait: BarrierWait = {}): Watched<Membership> {
    const { ttlMs } = this.harness
    return new Watched(this.store(client).enter({ barrier, parties, ttlMs, meta: '{}' }, wait))
  }

  /** Enters, and resolves once the store has said that others have to come. */
  async entering(
    client: Backend,
    barrier: string,
    parties: number,
    signal?: AbortSignal,
  ): Promise<Watched<Membership>> {
    return await this.#told(wait => this.enter(client, barrier, parties, { ...wait, signal }).promise)
  }

  /** So many parties that are in. */
  async inside(clients: readonly Backend[], barrier: string): Promise<readonly Membership[]> {
    const entered = clients.map(client => this.enter(client, barrier, clients.length).promise)
    return await this.soon(Promise.all(entered), `${clients.length} parties to be in`)
  }

  /** Leaves, and resolves once the store has said that others are in. */
  leaving(membership: Membership, signal?: AbortSignal): Promise<Watched<void>> {
    return this.#told(wait => membership.leave({ ...wait, signal }))
  }

  /** Nothing settles for a while. */
  async stays(watched: readonly Watched<unknown>[], what: string): Promise<void> {
    await this.harness.advance(QUIET_MS)
    const settled = watched.filter(({ state }) => state !== 'pending').length
    assert.equal(settled, 0, `${settled} of ${watched.length} did not wait: ${what}.`)
  }

  async silence(client: Backend): Promise<() => Promise<void>> {
    const heal = await this.able('silence')(client)
    this.#stage.healAtEnd(heal)
    return heal
  }

  turns(count: number): Promise<void> {
    return this.#stage.turns(count)
  }

  nothingLeft(barrier: string): Promise<void> {
    return this.#stage.nothingLeft(barrier)
  }

  /** What the world can do, for a case that needs it. */
  able<Name extends BarrierCapability>(name: Name): RunOf<BarrierHarness[Name]> {
    const capability: Capability<unknown> = this.harness[name]
    if (capability.kind === 'supported') return capability.run as RunOf<BarrierHarness[Name]>
    return assert.fail(`The harness has no \`${name}\`: ${capability.why}.`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]()
  }

  async #told<T>(begin: (wait: BarrierWait) => Promise<T>): Promise<Watched<T>> {
    let watched: Watched<T> | undefined
    const told = new Promise<void>((resolve, reject) => {
      watched = new Watched(begin({ waiting: resolve }))
      watched.promise.then(() => reject(new Error('It did not wait.')), reject)
    })
    await this.soon(told, 'the store to say that it is not yet time')
    return watched as unknown as Watched<T>
  }
}

type RunOf<Ability> = Ability extends { readonly kind: 'supported'; readonly run: infer Run } ? Run : never
