import type { Random } from '@holdfast/core'
import { checkFinite } from './check-finite.ts'

/** How long one call keeps one server busy. */
export interface ServiceTimes {
  readonly meanMs: number
  nextMs(random: Random): number
}

/** Exponential service times, as in textbooks of queues: many short ones and some long. */
export function exponential(meanMs: number): ServiceTimes {
  checkFinite('meanMs', meanMs, 0.001)
  // 1 - next() is in (0, 1]: its logarithm is finite.
  return { meanMs, nextMs: random => -meanMs * Math.log(1 - random.next()) }
}

/** Each call takes the same time. */
export function fixed(ms: number): ServiceTimes {
  checkFinite('ms', ms, 0.001)
  return { meanMs: ms, nextMs: () => ms }
}

/**
 * Calls of several kinds: `mixture([9, fixed(5)], [1, fixed(100)])` is ten per cent of slow ones.
 *
 * @param parts each with its weight.
 */
export function mixture(...parts: readonly (readonly [weight: number, times: ServiceTimes])[]): ServiceTimes {
  for (const [weight] of parts) checkFinite('weight', weight, 0)
  const total = parts.reduce((sum, [weight]) => sum + weight, 0)
  checkFinite('the sum of weights', total, 0.001)
  const meanMs = parts.reduce((sum, [weight, times]) => sum + (weight / total) * times.meanMs, 0)
  return {
    meanMs,
    nextMs(random) {
      let left = random.next() * total
      for (const [weight, times] of parts) {
        left -= weight
        if (left < 0) return times.nextMs(random)
      }
      return (parts.at(-1) as (typeof parts)[number])[1].nextMs(random)
    },
  }
}
