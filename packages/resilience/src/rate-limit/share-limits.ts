import { Gcra } from './gcra.ts'
import { LocalLimit } from './local-limit.ts'
import type { Meters } from './local-limit.ts'
import { shareOf } from './meters.ts'
import type { Quota } from './meter.ts'
import type { RateLimitsRule } from './rate-limits-options.ts'

interface SharePart {
  readonly rule: string
  readonly key: string | undefined
}

/** This instance's parts of several quotas, for when nobody counts for all: all or none, as with the store. */
export class ShareLimits {
  readonly #hashSeed: number
  #limits: ReadonlyMap<string, LocalLimit>

  constructor(rule: RateLimitsRule, hashSeed: number) {
    this.#hashSeed = hashSeed
    this.#limits = this.#limitsOf(rule, new Map(), 0)
  }

  change(rule: RateLimitsRule, nowMs: number): void {
    this.#limits = this.#limitsOf(rule, this.#limits, nowMs)
  }

  /** @returns the part that refuses, and for how long; undefined when all were taken. */
  take<P extends SharePart>(
    parts: readonly P[],
    cost: number,
    nowMs: number,
  ): { readonly part: P; readonly waitMs: number } | undefined {
    for (const [index, part] of parts.entries()) {
      const ticket = this.#limits.get(part.rule)?.take(part.key, cost, nowMs) ?? 0
      if (ticket >= 0) continue
      this.undo(parts.slice(0, index), cost)
      return { part, waitMs: -ticket }
    }
    return undefined
  }

  undo(parts: readonly SharePart[], cost: number): void {
    for (const { rule, key } of parts) this.#limits.get(rule)?.undo(key, cost, 0)
  }

  #limitsOf(
    rule: RateLimitsRule,
    known: ReadonlyMap<string, LocalLimit>,
    nowMs: number,
  ): ReadonlyMap<string, LocalLimit> {
    const { keysMax, instances = 1 } = rule
    return new Map(
      rule.quotas.map(({ rule: name, quota }) => {
        const meters = metersFor(quota, instances)
        const limit = known.get(name)
        limit?.change(meters, keysMax, nowMs)
        return [name, limit ?? new LocalLimit(meters, { keysMax, hashSeed: this.#hashSeed })]
      }),
    )
  }
}

function metersFor(quota: Quota, instances: number): Meters {
  return { usual: new Gcra(shareOf(quota, instances)), named: new Map() }
}
