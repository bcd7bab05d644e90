import type { RateDecision, Timer } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { Admission } from '../stage.ts'
import type { Decider } from './decider.ts'
import { FREE } from './decider.ts'
import type { Quota, QuotaView } from './meter.ts'
import { PermitLease } from './permit-lease.ts'
import type { SharedDecider } from './shared-decider.ts'

const BY_LEASE = 3
const LOOKS_MAX = 32
// Of how many instances it takes itself to be one, where nobody says.
const INSTANCES_GUESSED = 4

/**
 * Decides by permits that the store lends in batches: most calls without a round trip, and without an await.
 *
 * The store has counted every permit before it is used here, so all instances together never admit more than the quota; and a permit
 * is kept for `leaseMs` at most before it is used or given back.
 */
export class LeasedDecider implements Decider {
  readonly #shared: SharedDecider
  readonly #leases = new Map<string | undefined, PermitLease>()
  #timer: Timer | undefined
  #isClosed = false
  #refills = 0
  #crowdedOut = 0

  constructor(shared: SharedDecider) {
    this.#shared = shared
    shared.rule.current.backend?.onClose(() => this.#giveAllBack())
  }

  decide(call: Call, key: string | undefined): Admission {
    const { cost, nowMs } = call
    const lease = this.#leases.get(key) ?? this.#open(key, nowMs)
    if (lease === undefined) return this.#shared.decide(call, key)
    if (lease.tryTake(cost)) {
      if (lease.isLow && nowMs >= lease.deniedUntilMs && this.#shared.link.isUp) this.#refillSoon(lease)
      return BY_LEASE
    }
    return this.#decideWithout(lease, call)
  }

  undo(call: Call, key: string | undefined, ticket: number): void {
    if (ticket !== BY_LEASE) return this.#shared.undo(call, key, ticket)
    const lease = this.#leases.get(key)
    if (lease !== undefined) lease.putBack(call.cost)
    else if (call.cost > 0) this.#shared.giveBack(key, call.cost)
  }

  view(key: string | undefined, nowMs: number): QuotaView {
    const view = this.#shared.view(key, nowMs)
    const { burst } = this.#shared.quotaOf(key)
    const remaining = Math.min(burst, view.remaining + (this.#leases.get(key)?.permits ?? 0))
    return { ...view, remaining }
  }

  describe(): Readonly<Record<string, unknown>> {
    let held = 0
    for (const lease of this.#leases.values()) held += lease.permits
    return {
      ...this.#shared.describe(),
      leases: this.#leases.size,
      permitsHeld: held,
      refills: this.#refills,
      crowdedOut: this.#crowdedOut,
    }
  }

  close(): void {
    void this.#giveAllBack()
  }

  /** There are not enough permits here. */
  #decideWithout(lease: PermitLease, call: Call): Admission {
    const { cost, nowMs } = call
    const { key } = lease
    if (cost === 0) return FREE
    const quota = this.#shared.quotaOf(key)
    if (cost > quota.burst) return this.#shared.refuse(key, quota, Infinity)
    if (!this.#shared.link.isUp) return this.#shared.decideAway(call, key)
    const deniedMs = lease.deniedMs(cost, nowMs)
    if (deniedMs > 0) return this.#shared.refuse(key, quota, deniedMs)
    const waiting = lease.wait(call)
    this.#refillSoon(lease)
    return waiting
  }

  #refillSoon(lease: PermitLease): void {
    if (!lease.isRefilling) void this.#refill(lease)
  }

  /** Takes permits for all that wait, and for those that will come. One request for each key is under way. */
  async #refill(lease: PermitLease): Promise<void> {
    const { rule, store, link } = this.#shared
    lease.isRefilling = true
    do {
      const { clock, storeTimeoutMs: timeoutMs, leaseMs } = rule.current
      const quota = this.#shared.quotaOf(lease.key)
      const nowMs = clock.monotonicMs()
      lease.refuseOver(quota.burst, () => this.#shared.refuse(lease.key, quota, Infinity))
      const want = lease.wanted({ leaseMs, atMost: this.#batchMax(quota), burst: quota.burst }, nowMs)
      const take = { key: this.#shared.nameOf(lease.key), quota, ...want }
      this.#refills += 1
      try {
        const decision = await link.ask(() => store.take(take, { timeoutMs }), timeoutMs)
        if (decision === undefined) this.#decideAway(lease)
        else this.#took(lease, decision, { quota, least: want.least, nowMs })
      } catch (mistake) {
        lease.rejectWaiters(mistake)
      }
    } while (lease.hasWaiters)
    lease.isRefilling = false
    if (this.#isClosed) this.#emptied(lease)
    else this.#sweepLater()
  }

  #took(lease: PermitLease, decision: RateDecision, asked: { quota: Quota; least: number; nowMs: number }): void {
    const { quota, least, nowMs } = asked
    this.#shared.seen.note(this.#shared.nameOf(lease.key), decision, least, nowMs)
    if (decision.kind === 'granted') lease.granted(decision.granted, BY_LEASE)
    else {
      const { retryAfterMs } = decision
      lease.denied(retryAfterMs, least, nowMs)
      lease.refuseWaiters(BY_LEASE, () => this.#shared.refuse(lease.key, quota, retryAfterMs))
    }
  }

  #decideAway(lease: PermitLease): void {
    const nowMs = this.#shared.rule.current.clock.monotonicMs()
    lease.decideWaiters(call => {
      call.nowMs = nowMs
      return this.#shared.decideAway(call, lease.key)
    })
  }

  /** So much of a burst may one instance hold: its part of it. */
  #batchMax({ burst }: Quota): number {
    const { instances = INSTANCES_GUESSED } = this.#shared.rule.current
    return Math.max(1, Math.floor(burst / instances))
  }

  #open(key: string | undefined, nowMs: number): PermitLease | undefined {
    if (this.#isClosed) return undefined
    if (this.#leases.size >= this.#shared.rule.current.keysMax && !this.#makeRoom()) {
      this.#crowdedOut += 1
      return undefined
    }
    const lease = new PermitLease(key, nowMs)
    this.#leases.set(key, lease)
    return lease
  }

  #makeRoom(): boolean {
    let looks = LOOKS_MAX
    for (const lease of this.#leases.values()) {
      if (looks-- === 0) return false
      if (lease.isRefilling || lease.hasWaiters) continue
      this.#leases.delete(lease.key)
      this.#emptied(lease)
      return true
    }
    return false
  }

  /** In the background: what is not used goes back when it gets old. */
  #sweepLater(): void {
    const { clock, leaseMs } = this.#shared.rule.current
    this.#timer ??= clock.setTimer(() => this.#sweep(), leaseMs)
  }

  #sweep(): void {
    this.#timer = undefined
    const { clock, leaseMs } = this.#shared.rule.current
    const nowMs = clock.monotonicMs()
    for (const lease of this.#leases.values()) {
      if (lease.isRefilling) continue
      const count = lease.unused(leaseMs, nowMs)
      if (count > 0) this.#shared.giveBack(lease.key, count)
      if (lease.isIdle) this.#leases.delete(lease.key)
    }
    if (this.#leases.size > 0) this.#sweepLater()
  }

  #emptied(lease: PermitLease): void {
    const count = lease.empty()
    if (count > 0) this.#shared.giveBack(lease.key, count)
  }

  async #giveAllBack(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
    const held = [...this.#leases.values()].filter(lease => !lease.isRefilling)
    this.#leases.clear()
    const sent = held
      .map(lease => ({ key: lease.key, count: lease.empty() }))
      .filter(({ count }) => count > 0 && this.#shared.link.isUp)
      .map(({ key, count }) => this.#shared.sendBack(key, count))
    await Promise.all(sent)
  }
}
