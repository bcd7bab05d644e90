import type { RateStore } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import type { Rule } from '../rule.ts'
import type { Admission } from '../stage.ts'
import type { Decider } from './decider.ts'
import { FREE, overQuota, storeUnavailable } from './decider.ts'
import { LocalDecider } from './local-decider.ts'
import type { Quota, QuotaView } from './meter.ts'
import { shareMetersOf } from './meters.ts'
import type { RateRule } from './options.ts'
import { SeenDecisions } from './seen-decisions.ts'
import { storeKey, storeName } from './store-key.ts'
import type { LinkListener } from './store-link.ts'
import { StoreLink } from './store-link.ts'

const BY_STORE = 1
const BY_SHARE = 2

/** Decides together with all instances: each call is one round trip to the store, which may be away. */
export class SharedDecider implements Decider {
  readonly link: StoreLink
  readonly seen: SeenDecisions
  readonly store: RateStore
  readonly rule: Rule<RateRule>
  readonly #share: LocalDecider
  readonly #name: string
  #asked = 0
  #deniedHere = 0
  #decidedAway = 0

  constructor(
    rule: Rule<RateRule>,
    store: RateStore,
    { hashSeed, listener }: { hashSeed: number; listener: LinkListener },
  ) {
    const { clock, keysMax, name } = rule.current
    this.rule = rule
    this.store = store
    this.#name = storeName(name as string)
    this.link = new StoreLink(clock, listener)
    this.seen = new SeenDecisions(keysMax)
    this.#share = new LocalDecider(rule, hashSeed, shareMetersOf)
    rule.onChange(next => this.seen.setKeysMax(next.keysMax))
  }

  decide(call: Call, key: string | undefined): Admission {
    if (call.cost === 0) return FREE
    const quota = this.quotaOf(key)
    if (call.cost > quota.burst) return this.refuse(key, quota, Infinity)
    const name = this.nameOf(key)
    if (!this.link.isUp) return this.decideAway(call, key)
    const deniedMs = this.seen.deniedMs(name, call.cost, call.nowMs)
    if (deniedMs === 0) return this.#ask(call, key, { name, quota })
    this.#deniedHere += 1
    return this.refuse(key, quota, deniedMs)
  }

  undo(call: Call, key: string | undefined, ticket: number): void {
    if (ticket === BY_STORE) this.giveBack(key, call.cost)
    else if (ticket === BY_SHARE) this.#share.undo(call, key, 0)
  }

  view(key: string | undefined, nowMs: number): QuotaView {
    return this.seen.view(this.nameOf(key), this.quotaOf(key), nowMs)
  }

  describe(): Readonly<Record<string, unknown>> {
    return {
      store: this.link.isUp ? 'distributed' : this.rule.current.whenUnavailable,
      keys: this.seen.size,
      asked: this.#asked,
      deniedHere: this.#deniedHere,
      decidedAway: this.#decidedAway,
      ...this.link.describe(),
      share: this.#share.describe(),
    }
  }

  close(): void {}

  nameOf(key: string | undefined): string {
    return storeKey(this.#name, key)
  }

  quotaOf(key: string | undefined): Quota {
    const rule = this.rule.current
    const { limit, periodMs, burst } = (key === undefined ? undefined : rule.overrides.get(key)) ?? rule
    return { limit, periodMs, burst }
  }

  refuse(key: string | undefined, quota: Quota, waitMs: number): RejectedError {
    return overQuota(this.rule, quota, { key, waitMs })
  }

  /** Decides as declared for the time without a store, at once; and asks the store whether it is back, beside. */
  decideAway(call: Call, key: string | undefined): Admission {
    const { nowMs } = call
    this.#decidedAway += 1
    this.link.probe(nowMs, () => this.#probe(key))
    const rule = this.rule.current
    switch (rule.whenUnavailable) {
      case 'open':
        return FREE
      case 'closed':
        return storeUnavailable(this.rule, { key, retryAfterMs: this.link.retryAfterMs(nowMs) })
      case 'local': {
        const answer = this.#share.decide(call, key)
        // What it goes by is its part; what the caller may expect is the quota.
        if (typeof answer === 'number') return BY_SHARE
        const { retryAfterMs } = (answer as RejectedError).rejection
        return this.refuse(key, this.quotaOf(key), retryAfterMs ?? Infinity)
      }
    }
  }

  /** Permits that nobody used. What does not arrive comes back with time. */
  giveBack(key: string | undefined, count: number): void {
    const name = this.nameOf(key)
    this.seen.allow(name)
    if (this.link.isUp) void this.sendBack(key, count)
  }

  async sendBack(key: string | undefined, count: number): Promise<void> {
    const timeoutMs = this.rule.current.storeTimeoutMs
    try {
      await this.store.giveBack(this.nameOf(key), this.quotaOf(key), count, { timeoutMs })
    } catch {
      // Nobody waits for it. If the store is away, the next call finds that out.
    }
  }

  async #ask(call: Call, key: string | undefined, { name, quota }: { name: string; quota: Quota }): Promise<number> {
    const { cost, nowMs } = call
    const { clock, storeTimeoutMs: timeoutMs } = this.rule.current
    this.#asked += 1
    const decision = await this.link.ask(() => this.store.take({ key: name, quota, cost }, { timeoutMs }), timeoutMs)
    if (decision === undefined) {
      call.nowMs = clock.monotonicMs()
      const answer = await this.decideAway(call, key)
      if (typeof answer === 'number') return answer
      throw answer
    }
    this.seen.note(name, decision, cost, nowMs)
    if (decision.kind === 'granted') return BY_STORE
    throw this.refuse(key, quota, decision.retryAfterMs)
  }

  async #probe(key: string | undefined): Promise<unknown> {
    const take = { key: this.nameOf(key), quota: this.quotaOf(key), cost: 0 }
    return await this.store.take(take, { timeoutMs: this.rule.current.storeTimeoutMs })
  }
}
