import type { Random } from '@holdfast/core'
import { checkFinite } from './check-finite.ts'

/** How many calls come, by time. */
export interface ArrivalRate {
  /** The most there is at any time, per second. */
  readonly peakPerSecond: number
  perSecond(atMs: number): number
}

/** When calls come. */
export interface Arrivals {
  /** When the next one comes after that of `afterMs`; Infinity when none does. */
  nextMs(afterMs: number, random: Random): number
}

/**
 * Calls of many callers who know nothing of each other, at a rate or at one that changes: what real traffic is most like.
 *
 * @see Lewis & Shedler, Simulation of nonhomogeneous Poisson processes by thinning (1979)
 */
export function poisson(rate: number | ArrivalRate): Arrivals {
  const rates = rateOf(rate)
  const { peakPerSecond } = rates
  return {
    nextMs(afterMs, random) {
      if (peakPerSecond === 0) return Infinity
      for (let atMs = afterMs; ;) {
        atMs -= (1_000 / peakPerSecond) * Math.log(1 - random.next())
        const accepted = rates.perSecond(atMs) / peakPerSecond
        if (accepted >= 1 || random.next() < accepted) return atMs
        if (atMs > afterMs + QUIET_MS_MAX) return Infinity
      }
    },
  }
}

/** Calls at even distances, as a load generator sends them. */
export function evenly(rate: number | ArrivalRate): Arrivals {
  const rates = rateOf(rate)
  return {
    nextMs(afterMs) {
      for (let atMs = afterMs; atMs < afterMs + QUIET_MS_MAX; atMs += QUIET_STEP_MS) {
        const now = rates.perSecond(atMs)
        if (now > 0) return atMs + 1_000 / now
      }
      return Infinity
    },
  }
}

/** A rate that steps: `steps([0, 100], [10_000, 300], [15_000, 100])` is a burst of five seconds, as `[fromMs, perSecond]`. */
export function steps(...parts: readonly (readonly [fromMs: number, perSecond: number])[]): ArrivalRate {
  for (const [fromMs, rate] of parts) {
    checkFinite('fromMs', fromMs, 0)
    checkFinite('perSecond', rate, 0)
  }
  const sorted = [...parts].sort(([one], [other]) => other - one)
  return {
    peakPerSecond: Math.max(0, ...parts.map(([, rate]) => rate)),
    perSecond: atMs => sorted.find(([fromMs]) => fromMs <= atMs)?.[1] ?? 0,
  }
}

/** A product that is suddenly wanted: from one moment to the next `peakPerSecond` more, of which half is gone every `halfLifeMs`. */
export function suddenlyHot(of: {
  readonly basePerSecond: number
  readonly peakPerSecond: number
  readonly atMs: number
  readonly halfLifeMs: number
}): ArrivalRate {
  const { basePerSecond, peakPerSecond, atMs: fromMs, halfLifeMs } = of
  checkFinite('basePerSecond', basePerSecond, 0)
  checkFinite('peakPerSecond', peakPerSecond, 0)
  checkFinite('atMs', fromMs, 0)
  checkFinite('halfLifeMs', halfLifeMs, 1)
  return {
    peakPerSecond: basePerSecond + peakPerSecond,
    perSecond: atMs => basePerSecond + (atMs < fromMs ? 0 : peakPerSecond * 2 ** ((fromMs - atMs) / halfLifeMs)),
  }
}

// An hour without a call is the end of them.
const QUIET_MS_MAX = 3_600_000
const QUIET_STEP_MS = 10

function rateOf(rate: number | ArrivalRate): ArrivalRate {
  if (typeof rate !== 'number') return rate
  checkFinite('rate', rate, 0)
  return { peakPerSecond: rate, perSecond: () => rate }
}
