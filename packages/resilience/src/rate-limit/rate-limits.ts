import type { Clock, RateDecision, RateTake } from '@holdfast/core'
import { InvalidArgumentError, show } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Gate } from '../stage.ts'
import { FREE, keyOf, overQuota, storeUnavailable, whileWanted } from './decider.ts'
import type { QuotaView } from './meter.ts'
import { steadily } from './steadily.ts'
import type { NamedQuota, RateLimitsOptions, RateLimitsRule } from './rate-limits-options.ts'
import { checkedRateLimits } from './rate-limits-options.ts'
import { SeenDecisions } from './seen-decisions.ts'
import { ShareLimits } from './share-limits.ts'
import { storeKey, storeName } from './store-key.ts'
import { StoreLink } from './store-link.ts'

const BY_STORE = 1
const BY_SHARES = 2
const POLICY = 'rateLimits'

/** Several limits that a call has to keep, all or none. */
export interface RateLimits extends Policy {
  /**
   * How a quota stands, as the store said last to this process.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when there is no such rule.
   */
  quotaOf(rule: string, key?: string): QuotaView
}

/** One of the quotas of a call. */
interface Part extends NamedQuota {
  readonly key: string | undefined
  readonly name: string
}

/**
 * Several quotas at once (the user's, the tenant's, that of all), shared by all instances and taken in one atomic call: of a call that
 * any of them refuses, none is charged.
 *
 * @example
 * const limits = rateLimits({
 *   name: 'api', backend, instances: 4,
 *   rules: {
 *     user: { limit: 10, perKey: true },
 *     tenant: { limit: 200, perKey: ({ key }) => key?.split('/')[0] },
 *     all: { limit: 5_000 },
 *   },
 * })
 * await limits.execute(work, { key: 'acme/ann' })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function rateLimits(options: LiveOptions<RateLimitsOptions>): RateLimits {
  const rule = openRule(POLICY, options, steadily(POLICY, checkedRateLimits, ['name', 'backend', 'clock', 'random']))
  const gate = new RateLimitsGate(rule)
  return policyOf(gate, { quotaOf: (name: string, key?: string): QuotaView => gate.view(name, key) })
}

class RateLimitsGate implements Gate {
  readonly kind = 'gate'
  readonly policy = POLICY
  readonly clock: Clock
  readonly rule: Rule<RateLimitsRule>
  readonly #link: StoreLink
  readonly #seen: SeenDecisions
  readonly #shares: ShareLimits
  #asked = 0
  #deniedHere = 0
  #decidedAway = 0

  constructor(rule: Rule<RateLimitsRule>) {
    const { clock, random, keysMax, quotas } = rule.current
    this.rule = rule
    this.clock = clock
    this.#link = new StoreLink(clock, {
      storeLost: cause => tellTools(this, 'storeLost', { cause }),
      storeBack: awayMs => tellTools(this, 'storeBack', { awayMs }),
    })
    this.#seen = new SeenDecisions(keysMax * quotas.length)
    this.#shares = new ShareLimits(rule.current, Math.floor(random.next() * 2 ** 32))
    rule.onChange(next => {
      this.#seen.setKeysMax(next.keysMax * next.quotas.length)
      this.#shares.change(next, clock.monotonicMs())
    })
  }

  enter(call: Call): Admission {
    const { cost, nowMs } = call
    if (cost === 0) return FREE
    const parts = this.#partsOf(call)
    const tooSmall = parts.find(({ quota }) => cost > quota.burst)
    if (tooSmall !== undefined) return this.#refuse(tooSmall, Infinity)
    if (!this.#link.isUp) return this.#decideAway(call, parts)
    for (const part of parts) {
      const deniedMs = this.#seen.deniedMs(part.name, cost, nowMs)
      if (deniedMs === 0) continue
      this.#deniedHere += 1
      return this.#refuse(part, deniedMs)
    }
    return whileWanted(call, this.#ask(call, parts), ticket => this.#undo(call, parts, ticket))
  }

  undo(call: Call, ticket: number): void {
    if (ticket !== FREE) this.#undo(call, this.#partsOf(call), ticket)
  }

  #undo(call: Call, parts: readonly Part[], ticket: number): void {
    if (ticket === BY_SHARES) this.#shares.undo(parts, call.cost)
    else if (ticket === BY_STORE) for (const part of parts) this.#giveBack(part, call.cost)
  }

  view(name: string, key: string | undefined): QuotaView {
    const found = this.rule.current.quotas.find(({ rule }) => rule === name)
    if (found === undefined) throw new InvalidArgumentError('rule', `There is no rule ${show(name)}.`)
    return this.#seen.view(this.#nameOf(name, key), found.quota, this.clock.monotonicMs())
  }

  describe(): Readonly<Record<string, unknown>> {
    const { quotas, whenUnavailable } = this.rule.current
    return {
      rules: Object.fromEntries(quotas.map(({ rule, quota }) => [rule, quota])),
      store: this.#link.isUp ? 'distributed' : whenUnavailable,
      keys: this.#seen.size,
      asked: this.#asked,
      deniedHere: this.#deniedHere,
      decidedAway: this.#decidedAway,
      ...this.#link.describe(),
    }
  }

  async #ask(call: Call, parts: readonly Part[]): Promise<number> {
    const { cost, nowMs } = call
    const { backend, storeTimeoutMs: timeoutMs } = this.rule.current
    const takes = parts.map(({ name, quota }) => ({ key: name, quota, cost }))
    this.#asked += 1
    const decisions = await this.#link.ask(() => backend.rates.takeAll(takes, { timeoutMs }), timeoutMs)
    if (decisions === undefined) {
      call.nowMs = this.clock.monotonicMs()
      const answer = this.#decideAway(call, parts)
      if (typeof answer === 'number') return answer
      throw answer
    }
    const refusal = this.#note(parts, decisions, { cost, nowMs })
    if (refusal === undefined) return BY_STORE
    throw refusal
  }

  /** Keeps what the store said. @returns a refusal by the quota that takes the longest, where any refused. */
  #note(
    parts: readonly Part[],
    decisions: readonly RateDecision[],
    { cost, nowMs }: { cost: number; nowMs: number },
  ): RejectedError | undefined {
    const isGranted = decisions.every(({ kind }) => kind === 'granted')
    let longest: { readonly part: Part; readonly waitMs: number } | undefined
    decisions.forEach((decision, index) => {
      const part = parts[index] as Part
      // Of a call that was refused, what was granted was not taken.
      if (isGranted || decision.kind === 'refused') this.#seen.note(part.name, decision, cost, nowMs)
      if (decision.kind === 'granted' || decision.retryAfterMs <= (longest?.waitMs ?? -1)) return
      longest = { part, waitMs: decision.retryAfterMs }
    })
    return longest === undefined ? undefined : this.#refuse(longest.part, longest.waitMs)
  }

  #decideAway(call: Call, parts: readonly Part[]): number | RejectedError {
    const { nowMs } = call
    this.#decidedAway += 1
    this.#link.probe(nowMs, () => this.#probe(parts))
    switch (this.rule.current.whenUnavailable) {
      case 'open':
        return FREE
      case 'closed':
        return storeUnavailable(this.rule, {
          key: undefined,
          retryAfterMs: this.#link.retryAfterMs(nowMs),
          policy: POLICY,
        })
      case 'local': {
        const refused = this.#shares.take(parts, call.cost, nowMs)
        return refused === undefined ? BY_SHARES : this.#refuse(refused.part, refused.waitMs)
      }
    }
  }

  #probe(parts: readonly Part[]): Promise<unknown> {
    const { backend, storeTimeoutMs } = this.rule.current
    const takes: RateTake[] = parts.map(({ name, quota }) => ({ key: name, quota, cost: 0 }))
    return backend.rates.takeAll(takes, { timeoutMs: storeTimeoutMs })
  }

  #giveBack({ name, quota }: Part, count: number): void {
    this.#seen.allow(name)
    if (!this.#link.isUp) return
    const { backend, storeTimeoutMs } = this.rule.current
    // What does not arrive comes back with time.
    void backend.rates.giveBack(name, quota, count, { timeoutMs: storeTimeoutMs }).catch(() => undefined)
  }

  #refuse({ rule, quota, key }: Part, waitMs: number): RejectedError {
    return overQuota(this.rule, quota, { key, waitMs, policy: POLICY, part: rule })
  }

  #partsOf(call: Call): readonly Part[] {
    return this.rule.current.quotas.map(named => {
      const key = keyOf(named.perKey, call)
      return { ...named, key, name: this.#nameOf(named.rule, key) }
    })
  }

  #nameOf(rule: string, key: string | undefined): string {
    return storeKey(`{${this.rule.current.name}}/${storeName(rule)}`, key)
  }
}
