import type { Clock } from '@holdfast/core'
import type { Call } from '../call.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Gate } from '../stage.ts'
import type { Decider } from './decider.ts'
import { isPromise, keyOf, whileWanted } from './decider.ts'
import { LeasedDecider } from './leased-decider.ts'
import { LocalDecider } from './local-decider.ts'
import type { Quota, QuotaView } from './meter.ts'
import type { RateLimitOptions, RateRule } from './options.ts'
import { checkedRateRule } from './options.ts'
import { SharedDecider } from './shared-decider.ts'
import { steadily } from './steadily.ts'
import { WaitLines } from './waiting.ts'

/** A limit of calls for each period. */
export interface RateLimit extends Policy {
  /**
   * How the quota of a key stands, or that of calls without a key: for the RateLimit header fields. With a `backend` it is what the
   * store said last to this process, and what has come back since.
   */
  quotaOf(key?: string): QuotaView
}

/** A change of what state is kept by, or where, would be another limit. */
const FIXED = ['algorithm', 'backend', 'isLeased', 'storeName', 'clock', 'random'] as const

/**
 * Admits `limit` calls for each period and refuses the rest as `rate-limited` (429): all together or per key, in this process or
 * with all instances together (`backend`), call by call or by leased batches of permits.
 *
 * A permit is spent when the call is admitted, however it ends; it is given back when another policy beside it refuses the call.
 *
 * @example
 * const perUser = rateLimit({ limit: 100, periodMs: 60_000, burst: 20, perKey: true })
 * await perUser.execute(() => answer(request), { key: request.user })
 * @example
 * const all = rateLimit({ name: 'api', limit: 5_000, backend, instances: mapLive(service.instances, ({ length }) => length) })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function rateLimit(options: LiveOptions<RateLimitOptions>): RateLimit {
  const rule = openRule('rateLimit', options, steadily('rateLimit', checkedRateRule, FIXED))
  const gate = new RateGate(rule)
  const { clock } = rule.current
  return policyOf(gate, { quotaOf: (key?: string): QuotaView => gate.view(key, clock) })
}

class RateGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'rateLimit'
  readonly clock: Clock
  readonly rule: Rule<RateRule>
  readonly #decider: Decider
  readonly #lines: WaitLines
  #mayWait = false

  constructor(rule: Rule<RateRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.#decider = this.#deciderFor(rule)
    this.#lines = new WaitLines(this.clock, this.#decider, key => quotaOf(rule.current, key))
    this.#follow(rule.current)
    rule.onChange(next => this.#follow(next))
  }

  enter(call: Call): Admission {
    const rule = this.rule.current
    const key = keyOf(rule.perKey, call)
    if (this.#mayWait) return this.#lines.enter(call, key, rule)
    const answer = this.#decider.decide(call, key)
    return isPromise(answer) ? whileWanted(call, answer, ticket => this.#decider.undo(call, key, ticket)) : answer
  }

  undo(call: Call, ticket: number): void {
    this.#decider.undo(call, keyOf(this.rule.current.perKey, call), ticket)
  }

  view(key: string | undefined, clock: Clock): QuotaView {
    return this.#decider.view(key, clock.monotonicMs())
  }

  describe(): Readonly<Record<string, unknown>> {
    const { limit, periodMs, burst, algorithm } = this.rule.current
    return { limit, periodMs, burst, algorithm, waiting: this.#lines.count, ...this.#decider.describe() }
  }

  close(): void {
    this.#decider.close()
  }

  // In `shadow` nobody waits: the caller would notice it.
  #follow({ waitMs, mode }: RateRule): void {
    this.#mayWait = waitMs > 0 && mode !== 'shadow'
    this.#lines.wake()
  }

  #deciderFor(rule: Rule<RateRule>): Decider {
    const { backend, isLeased, random } = rule.current
    const hashSeed = Math.floor(random.next() * 2 ** 32)
    if (backend === undefined) return new LocalDecider(rule, hashSeed)
    const listener = {
      storeLost: (cause: unknown): void => tellTools(this, 'storeLost', { cause }),
      storeBack: (awayMs: number): void => tellTools(this, 'storeBack', { awayMs }),
    }
    const shared = new SharedDecider(rule, backend.rates, { hashSeed, listener })
    return isLeased ? new LeasedDecider(shared) : shared
  }
}

function quotaOf(rule: RateRule, key: string | undefined): Quota {
  return (key === undefined ? undefined : rule.overrides.get(key)) ?? rule
}
