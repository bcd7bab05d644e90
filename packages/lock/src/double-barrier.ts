import type { Backend, BarrierStore, Membership } from '@holdfast/core'
import {
  InvalidArgumentError,
  TTL_MS,
  barriersOf,
  checkDurationMs,
  checkKeys,
  checkRecipeName,
  encodeMeta,
  show,
} from '@holdfast/core'
import type { WaitOptions } from './wait-options.ts'
import { checkWaitOptions, waitAtMost } from './wait-options.ts'

/** How a double barrier is made. */
export interface DoubleBarrierOptions {
  /** How many have to be in before anybody goes on, 1 to 1,000. The same for all of them. */
  readonly parties: number
  /**
   * After how long without a sign of life a party counts as gone: 100 to 86,400,000 ms. On ZooKeeper it is the session's timeout.
   *
   * @default 15000
   */
  readonly ttlMs?: number
}

/**
 * One party of a double barrier: all begin together and all end together. Each party has an object of its own; it can go in and out
 * any number of times.
 *
 * A party whose process dies inside, or is stopped or cut off for longer than its TTL, counts as gone. It does not come back by itself:
 * it calls `leave`, and `enter` again. Who comes while others of a round are still in joins them, so more processes than `parties` are
 * let in as well.
 */
export interface DoubleBarrier {
  readonly name: string
  /**
   * Resolves once `parties` are in. When it rejects the party is not in. While the store is away it waits on.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when too few came within `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store never answered within `waitMs`
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the party is in already
   */
  enter(options?: WaitOptions): Promise<void>
  /**
   * Leaves, and resolves once all who were in have left. Whatever comes of it, the party is out. While the store is away it waits on;
   * a party that counts as gone waits for nobody who came for the next time.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when others were still in after `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the store never answered within `waitMs`
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the party is not in
   */
  leave(options?: WaitOptions): Promise<void>
}

type State =
  | { readonly kind: 'out' }
  | { readonly kind: 'entering' }
  | { readonly kind: 'in'; readonly membership: Membership }
  | { readonly kind: 'leaving' }

const KNOWN: ReadonlySet<string> = new Set(['parties', 'ttlMs'])
const PARTIES_MAX = 1_000
const OUT: State = Object.freeze({ kind: 'out' })

/** A party of the double barrier of a name. */
export class NamedDoubleBarrier implements DoubleBarrier {
  readonly name: string
  readonly #backend: Backend
  readonly #store: BarrierStore
  readonly #options: DoubleBarrierOptions
  #state: State = OUT

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
  constructor(backend: Backend, name: string, options: DoubleBarrierOptions) {
    checkRecipeName('double-barrier', name)
    if (typeof options !== 'object' || options === null) {
      throw new InvalidArgumentError(
        'options',
        `Expected doubleBarrier to be given \`{ parties }\`, got ${show(options)}.`,
      )
    }
    checkKeys('doubleBarrier', options, KNOWN)
    const { parties, ttlMs } = options
    if (!Number.isInteger(parties) || parties < 1 || parties > PARTIES_MAX) {
      throw new InvalidArgumentError(
        'parties',
        `Expected \`parties\` to be an integer from 1 to ${PARTIES_MAX}, got ${show(parties)}.`,
      )
    }
    if (ttlMs !== undefined) checkDurationMs('ttlMs', ttlMs, TTL_MS)
    this.name = name
    this.#backend = backend
    this.#store = barriersOf(backend)
    this.#options = { ...options }
  }

  async enter(options: WaitOptions = {}): Promise<void> {
    checkWaitOptions('enter', options)
    if (this.#state.kind !== 'out') throw this.#misused('enter', 'out')
    this.#state = { kind: 'entering' }
    const { parties, ttlMs } = this.#options
    const request = { barrier: this.name, parties, ttlMs, meta: encodeMeta(undefined) }
    const what = `Fewer than ${parties} parties were still in the double barrier "${this.name}"`
    try {
      const awaited = { backend: this.#backend, name: this.name, what }
      const membership = await waitAtMost(awaited, options, wait => this.#store.enter(request, wait))
      this.#state = { kind: 'in', membership }
    } catch (error) {
      this.#state = OUT
      throw error
    }
  }

  async leave(options: WaitOptions = {}): Promise<void> {
    checkWaitOptions('leave', options)
    if (this.#state.kind !== 'in') throw this.#misused('leave', 'in')
    const { membership } = this.#state
    this.#state = { kind: 'leaving' }
    const what = `Other parties were still in the double barrier "${this.name}"`
    try {
      await waitAtMost({ backend: this.#backend, name: this.name, what }, options, wait => membership.leave(wait))
    } finally {
      this.#state = OUT
    }
  }

  #misused(call: string, expected: State['kind']): InvalidArgumentError {
    return new InvalidArgumentError(
      call,
      `Expected the party to be ${expected} when it is to ${call} the double barrier "${this.name}", and it is ${this.#state.kind}.`,
    )
  }
}
