import type { Meter, Quota } from './meter.ts'

// What rounding can be off, as a part of one permit and in milliseconds: it never grants a permit too many that lasts.
const SLACK_RATIO = 1e-6
const SLACK_MS = 1e-6

/** At what factor a cold quota starts, and how long it takes under load to be warm. */
export interface WarmUp {
  /** How long a quota that is used to the full takes from cold to warm, in milliseconds, 1 to 86,400,000. */
  readonly durationMs: number
  /** A cold quota admits `limit / coldFactor`, 2 to 100. @default 3 */
  readonly coldFactor?: number
}

/**
 * The generic cell rate algorithm: one number for each key, the time at which the quota is whole again (TAT). Over any time t it
 * admits at most `burst + limit * t / periodMs`.
 *
 * The second number of its state is kept for `WarmGcra`, so that warming up can be switched on and off.
 *
 * @see ITU-T I.371; brandur.org/rate-limiting
 */
export class Gcra implements Meter {
  readonly quota: Quota
  readonly width = 2
  readonly #intervalMs: number
  readonly #toleranceMs: number

  constructor(quota: Quota) {
    this.quota = quota
    this.#intervalMs = quota.periodMs / quota.limit
    this.#toleranceMs = quota.burst * this.#intervalMs + slackOf(this.#intervalMs)
  }

  take(state: Float64Array, at: number, cost: number, nowMs: number): number {
    const wholeAtMs = state[at] as number
    const nextMs = (wholeAtMs > nowMs ? wholeAtMs : nowMs) + cost * this.#intervalMs
    const waitMs = nextMs - nowMs - this.#toleranceMs
    if (waitMs > 0) return cost > this.quota.burst ? -Infinity : -waitMs
    state[at] = nextMs
    return 0
  }

  undo(state: Float64Array, at: number, cost: number): void {
    state[at] = (state[at] as number) - cost * this.#intervalMs
  }

  isWhole(state: Float64Array, at: number, nowMs: number): boolean {
    return (state[at] as number) <= nowMs
  }

  look(state: Float64Array, at: number, nowMs: number): { readonly remaining: number; readonly resetMs: number } {
    const resetMs = Math.max(0, (state[at] as number) - nowMs)
    const remaining = Math.max(0, Math.floor((this.#toleranceMs - resetMs) / this.#intervalMs))
    return { remaining, resetMs }
  }

  adopt(state: Float64Array, at: number, previous: Meter, nowMs: number): void {
    adoptDebt(state, at, { previous: previous.quota, next: this.quota }, nowMs)
    state[at + 1] = 0
  }
}

/**
 * GCRA that starts slowly: after a rest a permit costs `coldFactor` times its time, and from there evenly less, until it is warm
 * after `durationMs` of full use. Rest cools it down again in the same time.
 *
 * Guava tells stored permits x from `max` (cold) down to `warning` (warm); the second number here is the warmth, `max - x`. With
 * interval T and ramp R = max - warning = 2w / (T (1 + f)), a permit at warmth y < R costs T (1 + (f - 1)(1 - y/R)): the ramp, R
 * permits, takes T R (1 + f) / 2 = w.
 *
 * It differs in that a burst may be taken at once; what coldness adds to it is paid afterwards.
 *
 * @see Guava SmoothRateLimiter.SmoothWarmingUp; Sentinel WarmUpController
 */
export class WarmGcra implements Meter {
  readonly quota: Quota
  readonly width = 2
  readonly #intervalMs: number
  readonly #toleranceMs: number
  readonly #coldFactor: number
  readonly #ramp: number
  readonly #warmthMax: number
  readonly #coolingPerMs: number

  constructor(quota: Quota, { durationMs, coldFactor }: Required<WarmUp>) {
    this.quota = quota
    this.#intervalMs = quota.periodMs / quota.limit
    this.#toleranceMs = quota.burst * this.#intervalMs + slackOf(this.#intervalMs)
    this.#coldFactor = coldFactor
    const warning = durationMs / this.#intervalMs / (coldFactor - 1)
    this.#ramp = (2 * durationMs) / this.#intervalMs / (1 + coldFactor)
    this.#warmthMax = warning + this.#ramp
    this.#coolingPerMs = this.#warmthMax / durationMs
  }

  take(state: Float64Array, at: number, cost: number, nowMs: number): number {
    const wholeAtMs = state[at] as number
    const fromMs = wholeAtMs > nowMs ? wholeAtMs : nowMs
    const waitMs = fromMs + cost * this.#intervalMs - nowMs - this.#toleranceMs
    if (waitMs > 0) return cost > this.quota.burst ? -Infinity : -waitMs
    const warmth = this.#warmth(state, at, nowMs)
    state[at] = fromMs + this.#timeOf(warmth, cost)
    state[at + 1] = Math.min(this.#warmthMax, warmth + cost)
    return 0
  }

  undo(state: Float64Array, at: number, cost: number): void {
    const warmth = Math.max(0, (state[at + 1] as number) - cost)
    state[at] = (state[at] as number) - this.#timeOf(warmth, cost)
    state[at + 1] = warmth
  }

  isWhole(state: Float64Array, at: number, nowMs: number): boolean {
    return (state[at] as number) <= nowMs && this.#warmth(state, at, nowMs) <= 0
  }

  look(state: Float64Array, at: number, nowMs: number): { readonly remaining: number; readonly resetMs: number } {
    const resetMs = Math.max(0, (state[at] as number) - nowMs)
    const leftMs = this.#toleranceMs - resetMs
    // By the price of the next one: those after it are no dearer.
    const remaining = Math.floor(leftMs / this.#timeOf(this.#warmth(state, at, nowMs), 1))
    return { remaining: Math.max(leftMs >= this.#intervalMs ? 1 : 0, remaining), resetMs }
  }

  adopt(state: Float64Array, at: number, previous: Meter, nowMs: number): void {
    // One that was in use without warming up is warm.
    const isWarm = !(previous instanceof WarmGcra)
    const ratio = isWarm ? 0 : this.#warmthMax / previous.#warmthMax
    const warmth = isWarm ? this.#warmthMax : previous.#warmth(state, at, nowMs) * ratio
    adoptDebt(state, at, { previous: previous.quota, next: this.quota }, nowMs)
    // From here on it cools by its own measure.
    state[at] = Math.max(nowMs, state[at] as number)
    state[at + 1] = warmth
  }

  #warmth(state: Float64Array, at: number, nowMs: number): number {
    const idleMs = nowMs - (state[at] as number)
    const warmth = state[at + 1] as number
    return idleMs > 0 ? Math.max(0, warmth - idleMs * this.#coolingPerMs) : warmth
  }

  /** What `cost` permits from a warmth on take: the integral of the price of one. */
  #timeOf(warmth: number, cost: number): number {
    const from = Math.min(warmth, this.#ramp)
    const to = Math.min(warmth + cost, this.#ramp)
    const cold = to - from - (to * to - from * from) / (2 * this.#ramp)
    return this.#intervalMs * (cost + (this.#coldFactor - 1) * cold)
  }
}

function slackOf(intervalMs: number): number {
  return Math.max(intervalMs * SLACK_RATIO, SLACK_MS)
}

/** The time until it is whole, from permits of the previous length to as many of the next. */
function adoptDebt(state: Float64Array, at: number, quotas: { previous: Quota; next: Quota }, nowMs: number): void {
  const debtMs = (state[at] as number) - nowMs
  if (debtMs <= 0) return
  const { previous, next } = quotas
  state[at] = nowMs + debtMs * (next.periodMs / next.limit / (previous.periodMs / previous.limit))
}
