import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { BeginOutcome, BeginRequest, Completion, RunRef } from '../../ports/idempotency.ts'
import type { Capability } from './harness.ts'
import type { IdempotencyHarness, IdempotencyPromise } from './idempotency-harness.ts'
import { HOP_MS, Stage } from './stage.ts'

/** What a world may be unable to do to itself. */
export type IdempotencyCapability = 'loseData' | 'silence' | 'silenceAnswers' | 'cut' | 'restart'

/** A behaviour, before it is bound to a harness. */
export interface IdempotencyCase {
  readonly promise: IdempotencyPromise
  readonly name: string
  /** What a world must be able to do for it; where it cannot, the case cannot be expressed. */
  readonly needs?: readonly IdempotencyCapability[]
  readonly body: (scene: IdempotencyScene) => Promise<void>
}

/** Whether the case can be expressed in that world. */
export function isIdempotencyCaseExpressible({ needs = [] }: IdempotencyCase, harness: IdempotencyHarness): boolean {
  return needs.every(capability => harness[capability].kind === 'supported')
}

/** How long one call may take: results may be large, and the machine busy. */
export const ANSWER_MS: number = 3 * HOP_MS
/** For how long a store keeps what is to go: short enough to wait for, long enough to ask for it on a busy machine. */
export const KEEP_MS = 3_000
/** Far longer than any case takes. */
export const LONG_MS = 600_000

export type Done = Extract<BeginOutcome, { kind: 'done' }>

/** One case's clients of the store, and what cases do with them. Closes them at its end. */
export class IdempotencyScene implements AsyncDisposable {
  readonly harness: IdempotencyHarness
  readonly #stage: Stage

  constructor(harness: IdempotencyHarness) {
    this.harness = harness
    this.#stage = new Stage(harness)
  }

  key(): string {
    return this.harness.key()
  }

  client(): Promise<Backend> {
    return this.#stage.client()
  }

  async twoClients(): Promise<[Backend, Backend]> {
    return [await this.client(), await this.client()]
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    return this.#stage.within(promise, ms, what)
  }

  /** The code of the error that a promise must reject with. */
  async code(promise: Promise<unknown>, what: string, ms: number = 2 * ANSWER_MS): Promise<unknown> {
    return ((await this.#stage.rejection(promise, ms, what)) as { readonly code?: unknown }).code
  }

  /** Others begin, and then the store must keep nothing of the key. */
  async nothingLeft(client: Backend, key: string): Promise<void> {
    for (let other = 0; other < 8; other += 1) {
      const run = await this.run(client, this.key(), { keepMs: KEEP_MS })
      await this.complete(client, run, 'x', { keepMs: KEEP_MS })
    }
    await this.#stage.nothingLeft(key)
  }

  /** What `begin` is told; a long lease unless the case says otherwise. */
  request(client: Backend, key: string, options: Partial<BeginRequest> = {}): BeginRequest {
    const owner = client.idempotency.newOwner()
    return { key, fingerprint: 'same', owner, leaseMs: LONG_MS, onLost: 'rerun', keepMs: LONG_MS, ...options }
  }

  begin(client: Backend, key: string, options?: Partial<BeginRequest>): Promise<BeginOutcome> {
    return this.begun(client, this.request(client, key, options))
  }

  begun(client: Backend, request: BeginRequest): Promise<BeginOutcome> {
    return this.within(client.idempotency.begin(request), ANSWER_MS, `begin of "${request.key}"`)
  }

  /** A begin that has to be told `run`. */
  async run(client: Backend, key: string, options?: Partial<BeginRequest>): Promise<RunRef> {
    const request = this.request(client, key, options)
    const outcome = await this.begun(client, request)
    if (outcome.kind === 'run') return { key, owner: request.owner, fence: outcome.fence }
    return assert.fail(`Expected the key to be the caller's to run, and it is ${outcome.kind}.`)
  }

  /** A run with a short lease that has just passed. */
  async lostRun(client: Backend, key: string, options?: Partial<BeginRequest>): Promise<RunRef> {
    const { leaseMs, slackMs } = this.harness
    const run = await this.run(client, key, { leaseMs, ...options })
    await this.harness.advance(leaseMs + slackMs)
    return run
  }

  /** A begin that has to be answered with a result. */
  async done(client: Backend, key: string, options?: Partial<BeginRequest>): Promise<Done> {
    const outcome = await this.begin(client, key, options)
    if (outcome.kind === 'done') return outcome
    return assert.fail(`Expected the key to be done, and it is ${outcome.kind}.`)
  }

  /** The result that a key is done with, as text. */
  async result(client: Backend, key: string): Promise<string> {
    return new TextDecoder().decode((await this.done(client, key)).result)
  }

  renew(client: Backend, run: RunRef, leaseMs: number = LONG_MS): Promise<'kept' | 'stale'> {
    return this.within(client.idempotency.renew(run, leaseMs), ANSWER_MS, `renewing "${run.key}"`)
  }

  complete(client: Backend, run: RunRef, text: string, options: Partial<Completion> = {}): Promise<'kept' | 'stale'> {
    const completion = { result: new TextEncoder().encode(text), failed: false, keepMs: LONG_MS, ...options }
    return this.within(client.idempotency.complete(run, completion), ANSWER_MS, `completing "${run.key}"`)
  }

  release(client: Backend, run: RunRef): Promise<'released' | 'stale'> {
    return this.within(client.idempotency.release(run), ANSWER_MS, `releasing "${run.key}"`)
  }

  /** Nothing reaches the client, or only no answer does, until the case ends or what it returns is called. */
  async silence(client: Backend, which: 'silence' | 'silenceAnswers'): Promise<() => Promise<void>> {
    const heal = await this.able(which)(client)
    this.#stage.healAtEnd(heal)
    return heal
  }

  /** What the world can do, for a case that needs it. */
  able<Name extends IdempotencyCapability>(name: Name): RunOf<IdempotencyHarness[Name]> {
    const capability: Capability<unknown> = this.harness[name]
    if (capability.kind === 'supported') return capability.run as RunOf<IdempotencyHarness[Name]>
    return assert.fail(`The harness has no \`${name}\`: ${capability.why}.`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]()
  }
}

type RunOf<Ability> = Ability extends { readonly kind: 'supported'; readonly run: infer Run } ? Run : never
