import type { Call } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import type { Admission } from '../stage.ts'

// What a store said no to is not asked again for this long at most: a permit that is given back is seen no later.
const DENY_MS_MAX = 100

interface Waiter {
  readonly call: Call
  readonly resolve: (ticket: number | Promise<number>) => void
  readonly reject: (reason: unknown) => void
}

/** Permits of one key that a store has lent to this instance, those that wait for more, and how fast they go. */
export class PermitLease {
  readonly key: string | undefined
  permits = 0
  isRefilling = false
  deniedUntilMs = 0
  #deniedCost = 0
  #waiters: Waiter[] = []
  /** Where the line begins in it: to move the others up at each step would take as long as the line is. */
  #first = 0
  #waitingCost = 0
  /** As many as the demand asks for, by what was used last. */
  #target = 0
  #used = 0
  #sinceMs: number

  constructor(key: string | undefined, nowMs: number) {
    this.key = key
    this.#sinceMs = nowMs
  }

  get hasWaiters(): boolean {
    return this.#first < this.#waiters.length
  }

  /** Whether it is time to ask for more. */
  get isLow(): boolean {
    return this.permits * 2 < this.#target
  }

  get isIdle(): boolean {
    return this.permits === 0 && this.#target === 0 && !this.hasWaiters && !this.isRefilling
  }

  /** Nobody overtakes those who wait. */
  tryTake(cost: number): boolean {
    if (cost > this.permits || this.hasWaiters) return false
    this.permits -= cost
    this.#used += cost
    return true
  }

  putBack(cost: number): void {
    this.permits += cost
    this.#used -= Math.min(cost, this.#used)
  }

  /** How long it is known that there is not enough for `cost`. */
  deniedMs(cost: number, nowMs: number): number {
    if (this.hasWaiters || cost - this.permits < this.#deniedCost) return 0
    return Math.max(0, this.deniedUntilMs - nowMs)
  }

  denied(retryAfterMs: number, least: number, nowMs: number): void {
    this.deniedUntilMs = nowMs + Math.min(retryAfterMs, DENY_MS_MAX)
    this.#deniedCost = least
  }

  /** Until the next permits come. */
  wait(call: Call): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ call, resolve, reject })
      this.#waitingCost += call.cost
    })
  }

  /**
   * What to ask for: what lasts for `leaseMs` at the rate of late, and what those who wait need. It follows a rising demand at once,
   * and a falling one by half each time.
   */
  wanted(
    { leaseMs, atMost, burst }: { leaseMs: number; atMost: number; burst: number },
    nowMs: number,
  ): { readonly cost: number; readonly least: number } {
    this.#measure(leaseMs, nowMs)
    const first = this.#waiters[this.#first]
    const least = Math.max(1, (first?.call.cost ?? 0) - this.permits)
    this.#target = Math.min(this.#target, atMost)
    const cost = Math.min(burst, Math.max(least, this.#target - this.permits, this.#waitingCost - this.permits))
    return { cost, least }
  }

  granted(count: number, ticket: number): void {
    this.permits += count
    this.deniedUntilMs = 0
    while (this.hasWaiters && (this.#waiters[this.#first] as Waiter).call.cost <= this.permits) {
      this.#admit(this.#next(), ticket)
    }
  }

  /** Those for whom there is enough all the same are admitted. */
  refuseWaiters(ticket: number, refusal: () => RejectedError): void {
    while (this.hasWaiters) {
      const waiter = this.#next()
      if (waiter.call.cost <= this.permits) this.#admit(waiter, ticket)
      else waiter.reject(refusal())
    }
  }

  /** Those at the head of the line who want more than there can ever be, since the quota is another. */
  refuseOver(burst: number, refusal: () => RejectedError): void {
    while (this.hasWaiters && (this.#waiters[this.#first] as Waiter).call.cost > burst) this.#next().reject(refusal())
  }

  rejectWaiters(reason: unknown): void {
    while (this.hasWaiters) this.#next().reject(reason)
  }

  decideWaiters(decide: (call: Call) => Admission): void {
    while (this.hasWaiters) {
      const waiter = this.#next()
      const answer = decide(waiter.call)
      if (typeof answer === 'number') waiter.resolve(answer)
      else waiter.reject(answer)
    }
  }

  /** What will not be used within `leaseMs`, by the use of late: it is not held any more. */
  unused(leaseMs: number, nowMs: number): number {
    if (nowMs - this.#sinceMs < leaseMs) return 0
    if (this.#used === 0) this.#target = 0
    else this.#measure(leaseMs, nowMs)
    this.#startMeasuring(nowMs)
    const count = Math.max(0, this.permits - this.#target)
    this.permits -= count
    return count
  }

  /** Nothing is held any more. @returns how many permits were. */
  empty(): number {
    const { permits } = this
    this.permits = 0
    this.#target = 0
    return permits
  }

  #measure(leaseMs: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#sinceMs
    if (this.#used === 0) return
    const needed = Math.ceil((this.#used / Math.max(1, elapsedMs)) * leaseMs)
    this.#target = Math.max(needed, Math.floor(this.#target / 2))
    // A rate of less than some milliseconds says little: it goes on being measured.
    if (elapsedMs >= leaseMs / 10) this.#startMeasuring(nowMs)
  }

  #startMeasuring(nowMs: number): void {
    this.#used = 0
    this.#sinceMs = nowMs
  }

  #next(): Waiter {
    const waiter = this.#waiters[this.#first] as Waiter
    this.#first += 1
    if (!this.hasWaiters) {
      this.#waiters = []
      this.#first = 0
    }
    this.#waitingCost -= waiter.call.cost
    return waiter
  }

  #admit(waiter: Waiter, ticket: number): void {
    this.permits -= waiter.call.cost
    this.#used += waiter.call.cost
    waiter.resolve(ticket)
  }
}
