import type { BackendLifecycle } from '../backend.ts'
import type { RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from '../ports/rates.ts'
import { InvariantError } from '../errors.ts'
import { checkCallOptions, checkGiveBack, checkedTake, checkedTakes } from '../rates/checks.ts'
import type { MemoryRateBuckets } from './rate-buckets.ts'
import type { MemoryWorld } from './world.ts'

/** Rates for one client of a `MemoryWorld`. A call is one step of the event loop, so `timeoutMs` is never over. */
export class MemoryRateStore implements RateStore {
  readonly #buckets: MemoryRateBuckets
  readonly #lifecycle: BackendLifecycle

  constructor(world: MemoryWorld, lifecycle: BackendLifecycle) {
    this.#buckets = world.rates
    this.#lifecycle = lifecycle
  }

  async take(given: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    const take = checkedTake(given)
    checkCallOptions(options)
    this.#lifecycle.checkOpen()
    const [decision] = this.#buckets.take([take])
    if (decision === undefined) throw new InvariantError('A take was not decided.')
    return decision
  }

  async takeAll(given: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]> {
    const takes = checkedTakes(given)
    checkCallOptions(options)
    this.#lifecycle.checkOpen()
    return this.#buckets.take(takes)
  }

  async giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void> {
    checkGiveBack(key, quota, count)
    checkCallOptions(options)
    this.#lifecycle.checkUsable()
    this.#buckets.giveBack(key, quota, count)
  }
}
