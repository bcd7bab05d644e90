import type { Call } from '../call.ts'
import type { Rule } from '../rule.ts'
import type { Admission } from '../stage.ts'
import type { Decider } from './decider.ts'
import { overQuota } from './decider.ts'
import { LocalLimit } from './local-limit.ts'
import type { Meters } from './local-limit.ts'
import type { QuotaView } from './meter.ts'
import { metersOf } from './meters.ts'
import type { RateRule } from './options.ts'

/** Decides in this process, for this process. */
export class LocalDecider implements Decider {
  readonly #rule: Rule<RateRule>
  readonly #limit: LocalLimit

  constructor(rule: Rule<RateRule>, hashSeed: number, meters: (rule: RateRule) => Meters = metersOf) {
    const { keysMax, clock } = rule.current
    this.#rule = rule
    this.#limit = new LocalLimit(meters(rule.current), { keysMax, hashSeed })
    rule.onChange(next => this.#limit.change(meters(next), next.keysMax, clock.monotonicMs()))
  }

  decide(call: Call, key: string | undefined): Admission {
    const ticket = this.#limit.take(key, call.cost, call.nowMs)
    if (ticket >= 0) return ticket
    return overQuota(this.#rule, this.#limit.meterOf(key).quota, { key, waitMs: -ticket })
  }

  undo(call: Call, key: string | undefined, ticket: number): void {
    this.#limit.undo(key, call.cost, ticket)
  }

  view(key: string | undefined, nowMs: number): QuotaView {
    return this.#limit.view(key, nowMs)
  }

  describe(): Readonly<Record<string, unknown>> {
    return this.#limit.describe()
  }

  close(): void {}
}
