import type { SampleWindow } from './sample-window.ts'

/** What bounds the limit: see `AdaptiveLimitOptions`. */
export interface HoldBounds {
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  /** How many calls may wait. */
  readonly headroom: number
  readonly maxHealthyMs: number
}

/**
 * What was done with the limit at the end of a window.
 *
 * - `held`: nothing.
 * - `grew`, `eased`: up, or down by a little.
 * - `cut`: calls queue behind it. `restored`: a cut had been wrong, what is called has become slower.
 * - `dropped`: calls timed out or were refused.
 * - `probed`: it was lowered for a moment to see how long calls take when they do not queue. `relearned`: that is known now.
 * - `capped`: it was far above what is in flight.
 */
export type HoldAction = 'held' | 'grew' | 'eased' | 'cut' | 'restored' | 'dropped' | 'probed' | 'relearned' | 'capped'

const LAW = Object.freeze({
  /** More of a window than this timed out or was refused: it is overload, whatever the others took. */
  dropsRatioMax: 0.05,
  /** So full a window is one that the limit had a part in. */
  fullRatio: 0.8,
  /** How much of a change the base takes over: of one downwards, and of one upwards, at most and in the time given. */
  fall: 0.3,
  riseMax: 0.05,
  riseMs: 30_000,
  /** How long it is saturated until the base is learned anew: after the base of the first calls, at first, and later on. */
  probeSoonMs: 500,
  probeFirstMs: 3_000,
  probeAfterMs: 15_000,
  /** At how much of what is needed: so low that nothing queues. */
  probeRatio: 0.6,
  /** Saturated is what refuses at least so much. */
  saturatedRefusedMin: 0.02,
  /** Refusing less than this, the first calls were no sign of overload. */
  roughRefusedMax: 0.1,
  /** How much of the headroom there is at most, and how many calls at least. */
  spareRatioMax: 1.5,
  spareMin: 3,
  /** The limit is not above so many times what was in flight. */
  inFlightTimesMax: 5,
  /** More in flight than so many times what throughput and durations say: calls go in, and do not come out. */
  stalledTimes: 3,
})

/**
 * The limit, from what was seen of calls: one update per window.
 *
 * It holds calls in flight at what is served, by Little's law `throughput * base`, and a short queue. It is the law "hold4" (a
 * gradient of the latency, with the throughput's answer to a cut, and a base that is learned anew after long saturation), with
 * differences that the overload simulation of this repository showed to be better:
 *
 * - It goes by the length of the queue, `throughput * (average - base)`, where hold4 goes by the ratio `average / base` alone. A ratio
 *   asks a server of 2 to be as fast as one of 100 near full load, which it is not: at 0.9 of what it can do, it has eight waiting.
 * - That room shrinks the more it refuses: with calls enough, those that wait are only late.
 * - A probe counts calls only after what was queued has left, and some durations later: those that end first are the fast ones.
 * - A cut is undone only where the throughput fell by more than chance.
 * - The base rises with time, not with windows, and only in windows that the limit had no part in.
 *
 * @see Netflix concurrency-limits `Gradient2Limit`, failsafe-go's adaptive limiter, BBR
 */
export class HoldLaw {
  limit: number
  /** How long a call takes that does not queue; 0 as long as nobody knows. */
  baseMs = 0
  isProbing = false
  #isSlowStart = true
  /** The base is that of the first calls, of which the fast ones end first. */
  #isRough = false
  #cut: { readonly perMs: number; readonly limit: number } | undefined = undefined
  #saturatedSinceMs = Infinity
  #probeAfterMs: number = LAW.probeFirstMs
  /** How many calls may wait. */
  #spare: number
  #inFlightRecent = 0

  constructor({ limitStart, headroom }: HoldBounds) {
    this.limit = limitStart
    this.#spare = headroom
  }

  /** The end of a window, which has samples. */
  update(window: SampleWindow, nowMs: number, bounds: HoldBounds): HoldAction {
    const action = this.#decide(window, nowMs, bounds)
    // What takes longer has a queue in it, however long it has been like that.
    if (this.baseMs > bounds.maxHealthyMs) this.baseMs = bounds.maxHealthyMs
    this.#inFlightRecent = Math.max(window.inFlightMax, 0.9 * this.#inFlightRecent)
    const cap = Math.max(bounds.limitStart, LAW.inFlightTimesMax * this.#inFlightRecent)
    const isCapped = this.limit > cap
    if (isCapped) this.limit = cap
    this.clamp(bounds)
    return isCapped ? 'capped' : action
  }

  clamp({ limitMin, limitMax }: HoldBounds): void {
    this.limit = Math.min(limitMax, Math.max(limitMin, this.limit))
  }

  /** Nothing was in flight for a while: that ends an overload, and a probe, which would refuse those that come now. */
  rest(bounds: HoldBounds): void {
    this.#saturatedSinceMs = Infinity
    this.#cut = undefined
    if (!this.isProbing) return
    this.isProbing = false
    this.limit = this.limit / LAW.probeRatio + this.#spare
    this.clamp(bounds)
  }

  /** Calls queue already, before anything is known but how long the first ones took. */
  startOver(baseMs: number, perMs: number, nowMs: number, bounds: HoldBounds): void {
    this.baseMs = baseMs
    this.limit = 1.05 * perMs * baseMs + bounds.headroom
    this.#isSlowStart = false
    this.#isRough = true
    this.#saturatedSinceMs = nowMs + LAW.probeSoonMs - this.#probeAfterMs
    this.clamp(bounds)
  }

  #decide(window: SampleWindow, nowMs: number, bounds: HoldBounds): HoldAction {
    if (window.drops > LAW.dropsRatioMax * window.samples) return this.#drop()
    const { avgMs, refusedRatio } = window
    const elapsedMs = nowMs - window.sinceMs
    const perMs = window.successes / elapsedMs
    if (this.isProbing) return this.#relearn(avgMs, perMs)
    if (this.baseMs === 0) this.baseMs = avgMs
    const isFull = window.inFlightMax >= LAW.fullRatio * this.limit
    this.#learn(avgMs, isFull, elapsedMs, refusedRatio)
    this.#watchSaturation(isFull, refusedRatio, nowMs)
    if (!isFull) return 'held'
    // What is refused while it probes is the probe's own doing: it goes by what was before.
    this.#spare = this.#isRough ? LAW.spareRatioMax * bounds.headroom : spareOf(bounds.headroom, refusedRatio)
    if (nowMs - this.#saturatedSinceMs >= this.#probeAfterMs) return this.#probe(perMs)
    return this.#steer(window, perMs)
  }

  #learn(avgMs: number, isFull: boolean, elapsedMs: number, refusedRatio: number): void {
    if (avgMs < this.baseMs) this.baseMs += LAW.fall * (avgMs - this.baseMs)
    else if (this.#isRough && refusedRatio < LAW.roughRefusedMax) this.baseMs = avgMs
    else if (!isFull) this.baseMs += Math.min(LAW.riseMax, elapsedMs / LAW.riseMs) * (avgMs - this.baseMs)
    if (!isFull || refusedRatio < LAW.roughRefusedMax) this.#isRough = false
  }

  #watchSaturation(isFull: boolean, refusedRatio: number, nowMs: number): void {
    if (!isFull || refusedRatio < LAW.saturatedRefusedMin) this.#saturatedSinceMs = Infinity
    else if (this.#saturatedSinceMs === Infinity) this.#saturatedSinceMs = nowMs
  }

  #steer({ avgMs, samples, drops, inFlightMax }: SampleWindow, perMs: number): HoldAction {
    // Little's law: calls that are being served, and calls that wait behind them.
    const needed = perMs * this.baseMs
    const queued = perMs * avgMs - needed
    const cut = this.#cut
    const spare = this.#spare
    this.#cut = undefined
    // Served less after a cut, by more than chance: there was no queue to cut.
    const lessRatio = Math.max(0.08, 2 / Math.sqrt(samples))
    if (cut !== undefined && this.limit < cut.limit && perMs < (1 - lessRatio) * cut.perMs) {
      this.baseMs *= 1.25
      this.limit = cut.limit
      return 'restored'
    }
    if (queued > Math.max(needed, 1.5 * spare)) {
      this.#cut = { perMs, limit: this.limit }
      this.#isSlowStart = false
      this.limit = Math.max(0.7 * this.limit, 1.05 * needed + 0.75 * spare)
      return 'cut'
    }
    // A stall fills the limit before it shows in durations: more are in flight than there were to be, or the first ones time out.
    const isStalled = drops > 0 || inFlightMax > LAW.stalledTimes * (needed + queued) + spare
    if (!isStalled && queued < Math.max(0.4 * needed, 0.75 * spare)) {
      this.limit += this.#isSlowStart ? 0.5 * this.limit : Math.sqrt(this.limit)
      return 'grew'
    }
    if (queued > Math.max(0.7 * needed, spare)) {
      this.#isSlowStart = false
      this.limit -= 0.5 * Math.sqrt(this.limit)
      return 'eased'
    }
    return 'held'
  }

  #drop(): HoldAction {
    this.limit *= 0.8
    this.#isSlowStart = false
    this.#cut = undefined
    this.#saturatedSinceMs = Infinity
    this.isProbing = false
    return 'dropped'
  }

  #probe(perMs: number): HoldAction {
    this.isProbing = true
    this.#cut = undefined
    this.limit = LAW.probeRatio * perMs * this.baseMs
    return 'probed'
  }

  #relearn(avgMs: number, perMs: number): HoldAction {
    this.isProbing = false
    this.#probeAfterMs = LAW.probeAfterMs
    this.#isRough = false
    this.#saturatedSinceMs = Infinity
    this.baseMs = avgMs
    this.limit = (perMs * avgMs) / LAW.probeRatio + this.#spare
    return 'relearned'
  }
}

// Room for chance matters near full load. Far above it there is always a call to come next, and those that wait are only late.
function spareOf(headroom: number, refusedRatio: number): number {
  const share = Math.min(LAW.spareRatioMax, (0.4 - refusedRatio) / 0.25)
  const least = Math.max(1, Math.min(LAW.spareMin, 10 * (1 - refusedRatio)))
  return Math.max(Math.min(headroom, least), headroom * share)
}
