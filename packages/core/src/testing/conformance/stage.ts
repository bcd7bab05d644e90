import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'

/**
 * How long one hop may take: less than the time after which one who waits looks without having been told, and far more than a busy
 * machine needs.
 */
export const HOP_MS = 2_500
const STEP_MS = 5

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

/** The part of a harness that every conformance suite has. */
export interface World {
  openBackend(): Promise<Backend>
  advance(ms: number): Promise<void>
  leftovers(name: string): Promise<readonly string[]>
}

/** One case's clients of a store, and the patience with which it is asked: what the suites of all ports share. */
export class Stage implements AsyncDisposable {
  readonly #world: World
  readonly #clients: Backend[] = []
  readonly #heals: (() => Promise<void>)[] = []

  constructor(world: World) {
    this.#world = world
  }

  async client(): Promise<Backend> {
    const client = await this.within(this.#world.openBackend(), 10 * HOP_MS, 'opening a client')
    this.#clients.push(client)
    return client
  }

  /** What is healed at the end of the case at the latest. */
  healAtEnd(heal: () => Promise<void>): void {
    this.#heals.push(heal)
  }

  /** Settles as the promise does, while time passes; fails when it takes longer. */
  async within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    const watched = new Watched(promise)
    await this.#world.advance(0)
    for (let passedMs = 0; watched.state === 'pending' && passedMs < ms; passedMs += STEP_MS) {
      await Promise.race([promise.catch(() => undefined), this.#world.advance(STEP_MS)])
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
      await this.#world.advance(STEP_MS)
    }
    assert.fail(`After ${ms} ms, ${wrong}.`)
  }

  /** Nobody has anything to do with it any more: the store must keep nothing of them. */
  async nothingLeft(name: string): Promise<void> {
    let left: readonly string[] = []
    const isEmpty = async (): Promise<boolean> => {
      left = await this.#world.leftovers(name)
      return left.length === 0
    }
    await this.eventually(isEmpty, `the store still keeps something of "${name}"`, 10 * HOP_MS).catch(
      (error: unknown) => {
        assert.deepEqual(left, [], `The store still keeps something of "${name}".`)
        throw error
      },
    )
  }

  /** Some turns of the event loop: finer than any sleep. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#heals.map(heal => heal()))
    await this.within(Promise.all(this.#clients.map(client => client.close())), 10 * HOP_MS, 'closing the clients')
  }
}
