import type { Backend, RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from '@holdfast/core'
import { UnavailableError } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import type { SimulatedClock } from '@holdfast/core/testing'

/** What happens to a request: it is answered after `delayMs`, or fails at its timeout. */
export type Weather =
  | { readonly kind: 'fair'; readonly delayMs: number }
  | { readonly kind: 'silent' }
  | { readonly kind: 'down' }

/** A store in memory behind a link that a test controls. */
export class ScriptedRates implements RateStore {
  weather: Weather = { kind: 'fair', delayMs: 0 }
  /** What it throws when it is down. */
  downWith: Error = new UnavailableError('down')
  readonly takes: RateTake[] = []
  readonly givenBack: { readonly key: string; readonly count: number }[] = []
  /** Permits granted, less those given back, whether or not the answer arrived. */
  readonly out = new Map<string, number>()
  readonly #clock: SimulatedClock
  readonly #inner: RateStore

  constructor(clock: SimulatedClock, inner: RateStore) {
    this.#clock = clock
    this.#inner = inner
  }

  async take(take: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    this.takes.push(take)
    return await this.#through(async () => {
      const decision = await this.#inner.take(take, options)
      if (decision.kind === 'granted') this.#count(take.key, decision.granted)
      return decision
    }, options)
  }

  async takeAll(takes: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]> {
    this.takes.push(...takes)
    return await this.#through(async () => {
      const decisions = await this.#inner.takeAll(takes, options)
      const isTaken = decisions.every(({ kind }) => kind === 'granted')
      if (isTaken) for (const { key, cost } of takes) this.#count(key, cost)
      return decisions
    }, options)
  }

  async giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void> {
    await this.#through(async () => {
      this.givenBack.push({ key, count })
      this.#count(key, -count)
      await this.#inner.giveBack(key, quota, count, options)
    }, options)
  }

  async #through<T>(work: () => Promise<T>, { timeoutMs = 1_000 }: RateCallOptions = {}): Promise<T> {
    const { weather } = this
    if (weather.kind === 'down') throw this.downWith
    if (weather.kind === 'silent') {
      await this.#sleep(timeoutMs)
      throw new UnavailableError(`No answer within ${timeoutMs} ms.`)
    }
    if (weather.delayMs === 0) return await work()
    await this.#sleep(weather.delayMs / 2)
    const result = await work()
    await this.#sleep(weather.delayMs / 2)
    return result
  }

  #count(key: string, count: number): void {
    this.out.set(key, (this.out.get(key) ?? 0) + count)
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.#clock.setTimer(resolve, ms))
  }
}

/** A backend whose rates a test controls. */
export function scriptedBackend(clock: SimulatedClock): { readonly backend: Backend; readonly rates: ScriptedRates } {
  const memory = memoryBackend({ clock })
  const rates = new ScriptedRates(clock, memory.rates)
  return { backend: { ...memory, rates }, rates }
}
