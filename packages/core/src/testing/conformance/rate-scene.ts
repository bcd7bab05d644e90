import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { RateCallOptions, RateDecision, RateQuota, RateTake } from '../../ports/rates.ts'
import type { Capability } from './harness.ts'
import type { RateHarness, RatePromise } from './rate-harness.ts'
import { HOP_MS, Stage } from './stage.ts'

/** What a world may be unable to do to itself. */
export type RateCapability =
  | 'openAhead'
  | 'setBack'
  | 'stop'
  | 'silence'
  | 'cut'
  | 'restart'
  | 'forgetScripts'
  | 'openForbidden'

/** A behaviour, before it is bound to a harness. */
export interface RateCase {
  readonly promise: RatePromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: readonly RateCapability[]
  readonly body: (scene: RateScene) => Promise<void>
}

/** Whether the case can be expressed in that world. */
export function isRateCaseExpressible({ needs = [] }: RateCase, harness: RateHarness): boolean {
  return needs.every(capability => harness[capability].kind === 'supported')
}

/** How long one call may take: the machine may be busy. */
export const ANSWER_MS: number = 3 * HOP_MS

export type Granted = Extract<RateDecision, { kind: 'granted' }>
export type Refused = Extract<RateDecision, { kind: 'refused' }>

/** A quota of which nothing comes back while a case runs. */
export function stillQuota(burst: number): RateQuota {
  return { limit: 1, periodMs: 3_600_000, burst }
}

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class RateScene implements AsyncDisposable {
  readonly harness: RateHarness
  readonly #stage: Stage

  constructor(harness: RateHarness) {
    this.harness = harness
    this.#stage = new Stage(harness)
  }

  key(): string {
    return this.harness.key()
  }

  /** Keys that share a hash tag, as a Cluster wants them. */
  keys(count: number): readonly string[] {
    const tag = this.harness.key()
    return Array.from({ length: count }, (_, index) => `{${tag}}:${index}`)
  }

  client(): Promise<Backend> {
    return this.#stage.client()
  }

  clients(count: number): Promise<readonly Backend[]> {
    return Promise.all(Array.from({ length: count }, () => this.client()))
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    return this.#stage.within(promise, ms, what)
  }

  /** The code of the error that a promise must reject with. */
  async code(promise: Promise<unknown>, what: string, ms: number = 2 * ANSWER_MS): Promise<unknown> {
    return ((await this.#stage.rejection(promise, ms, what)) as { readonly code?: unknown }).code
  }

  take(client: Backend, take: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    return this.within(client.rates.take(take, options), ANSWER_MS, `a take of "${take.key}"`)
  }

  takeAll(client: Backend, takes: readonly RateTake[]): Promise<readonly RateDecision[]> {
    return this.within(client.rates.takeAll(takes), ANSWER_MS, `a take of ${takes.length} quotas`)
  }

  /** A take that has to be granted. */
  async granted(client: Backend, take: RateTake): Promise<Granted> {
    const decision = await this.take(client, take)
    if (decision.kind === 'granted') return decision
    return assert.fail(`It was refused for ${decision.retryAfterMs} ms, with ${decision.remaining} left.`)
  }

  /** A take that must be refused. */
  async refused(client: Backend, take: RateTake): Promise<Refused> {
    const decision = await this.take(client, take)
    if (decision.kind === 'refused') return decision
    return assert.fail(`${decision.granted} were granted, and ${decision.remaining} left.`)
  }

  /** What could be taken now. */
  async remaining(client: Backend, key: string, quota: RateQuota): Promise<number> {
    return (await this.granted(client, { key, quota, cost: 0 })).remaining
  }

  giveBack(client: Backend, key: string, quota: RateQuota, count: number): Promise<void> {
    return this.within(client.rates.giveBack(key, quota, count), ANSWER_MS, `giving back to "${key}"`)
  }

  /** Waits until the check holds, while others take; fails with what was wrong when it never does. */
  async eventually(check: () => Promise<boolean>, wrong: string, ms: number): Promise<void> {
    return await this.#stage.eventually(check, wrong, ms)
  }

  /** Lets time pass, and closes the client at the end. */
  async adopt(opening: Promise<Backend>): Promise<Backend> {
    const client = await this.within(opening, 10 * HOP_MS, 'opening a client')
    this.healAtEnd(() => client.close())
    return client
  }

  healAtEnd(heal: () => Promise<void>): void {
    this.#stage.healAtEnd(heal)
  }

  /** What the world can do, for a case that needs it. */
  able<Name extends RateCapability>(name: Name): RunOf<RateHarness[Name]> {
    const capability: Capability<unknown> = this.harness[name]
    if (capability.kind === 'supported') return capability.run as RunOf<RateHarness[Name]>
    return assert.fail(`The harness has no \`${name}\`: ${capability.why}.`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]()
  }
}

type RunOf<Ability> = Ability extends { readonly kind: 'supported'; readonly run: infer Run } ? Run : never
