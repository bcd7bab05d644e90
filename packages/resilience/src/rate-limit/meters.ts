import { Gcra, WarmGcra } from './gcra.ts'
import type { Meters } from './local-limit.ts'
import type { Meter, Quota } from './meter.ts'
import type { RateRule } from './options.ts'
import { SlidingWindow } from './sliding-window.ts'

/** The meters that a rule asks for. */
export function metersOf(rule: RateRule): Meters {
  return { usual: meterOf(rule, rule), named: mapped(rule.overrides, quota => meterOf(rule, quota)) }
}

/** The same for this instance's part of it, where nobody counts for all: one of `instances` equal parts. */
export function shareMetersOf(rule: RateRule): Meters {
  const share = (quota: Quota): Meter => new Gcra(shareOf(quota, rule.instances ?? 1))
  return { usual: share(rule), named: mapped(rule.overrides, share) }
}

/** At least one call at once: with more instances than `burst`, together they admit one each. */
export function shareOf({ limit, periodMs, burst }: Quota, instances: number): Quota {
  return { limit: limit / instances, periodMs, burst: Math.max(1, Math.floor(burst / instances)) }
}

function meterOf({ algorithm, warmUp }: RateRule, { limit, periodMs, burst }: Quota): Meter {
  const quota: Quota = Object.freeze({ limit, periodMs, burst })
  if (algorithm === 'sliding-window') return new SlidingWindow(quota)
  return warmUp === undefined ? new Gcra(quota) : new WarmGcra(quota, warmUp)
}

function mapped(quotas: ReadonlyMap<string, Quota>, meter: (quota: Quota) => Meter): ReadonlyMap<string, Meter> {
  return new Map([...quotas].map(([key, quota]) => [key, meter(quota)]))
}
