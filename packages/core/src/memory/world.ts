import type { Clock, Timer } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseInfo, LeaseKind } from '../ports/leases.ts'
import { MemoryDirectories } from './directories.ts'
import type { Claim, Holding, MemoryLeases, Waiter } from './holding.ts'
import { holderOf, lastsMs, partyOf } from './holding.ts'
import { MemoryRateBuckets } from './rate-buckets.ts'
import { MemoryRuns } from './runs.ts'
import { SharedLeases } from './shared-leases.ts'

interface Resource {
  holding: Holding | undefined
  readonly waiters: Map<string, Waiter>
  expiry: Timer | undefined
}

/**
 * What the clients of one in-process store share; its own methods are about leases that are held alone. A resource that nobody holds or waits for takes no room: tokens come from one
 * counter of the world, so they grow per resource all the same.
 */
export class MemoryWorld implements MemoryLeases {
  readonly clock: Clock
  readonly readWrite: SharedLeases
  readonly permits: SharedLeases
  readonly directories: MemoryDirectories
  readonly runs: MemoryRuns
  readonly rates: MemoryRateBuckets
  readonly #resources = new Map<string, Resource>()
  #lastToken = 0n

  /** @param clock what time it is; a test passes a simulated one. @default systemClock */
  constructor(clock: Clock = systemClock) {
    this.clock = clock
    const tokens = { last: () => this.#lastToken, next: () => (this.#lastToken += 1n) }
    this.readWrite = new SharedLeases(clock, tokens)
    this.permits = new SharedLeases(clock, tokens)
    this.directories = new MemoryDirectories(clock)
    this.runs = new MemoryRuns(clock)
    this.rates = new MemoryRateBuckets(clock)
  }

  tryGrant(name: string, claim: Claim): Holding | undefined {
    const resource = this.#settled(name)
    const { holding } = resource
    if (holding?.requestId === claim.requestId) {
      return this.renew(name, claim.requestId, lastsMs(holding, claim.ttlMs, this.clock.monotonicMs()))
    }
    if (holding !== undefined) return undefined
    return this.#give(name, resource, claim)
  }

  enqueue(name: string, claim: Claim, granted: (holding: Holding) => void): void {
    const resource = this.#settled(name)
    resource.waiters.set(claim.requestId, { ...claim, granted })
    this.#watchExpiry(name, resource)
  }

  renew(name: string, requestId: string, ttlMs: number): Holding | undefined {
    const resource = this.#settled(name)
    const { holding } = resource
    if (holding?.requestId !== requestId) return undefined
    const endsAtMs = this.clock.monotonicMs() + ttlMs
    const isSooner = endsAtMs < holding.endsAtMs
    holding.endsAtMs = endsAtMs
    if (isSooner && resource.expiry !== undefined) {
      resource.expiry.cancel()
      resource.expiry = undefined
      this.#watchExpiry(name, resource)
    }
    return holding
  }

  release(name: string, requestId: string): boolean {
    const resource = this.#settled(name)
    resource.waiters.delete(requestId)
    const isHeld = resource.holding?.requestId === requestId
    if (isHeld) this.#free(name, resource)
    this.#dropIfIdle(name, resource)
    return isHeld
  }

  inspect(name: string, kind: LeaseKind = 'exclusive'): LeaseInfo {
    if (kind === 'read-write') return this.readWrite.inspect(name)
    if (kind === 'permits') return this.permits.inspect(name)
    const { holding, waiters } = this.#settled(name)
    const holders = holding === undefined ? [] : [holderOf(holding, this.clock.monotonicMs())]
    const info = leaseInfo(name, holders, [...waiters.values()].map(partyOf))
    this.#dropIfIdle(name, this.#settled(name))
    return info
  }

  /** The names of all resources that are held or waited for, in any of their locks. */
  resources(): readonly string[] {
    const names = [...this.#resources.keys(), ...this.readWrite.resources(), ...this.permits.resources()]
    return [...new Set(names)]
  }

  // The resource as it is now: an ended holding is freed first.
  #settled(name: string): Resource {
    let resource = this.#resources.get(name)
    if (resource === undefined) {
      resource = { holding: undefined, waiters: new Map(), expiry: undefined }
      this.#resources.set(name, resource)
    }
    if (resource.holding !== undefined && resource.holding.endsAtMs <= this.clock.monotonicMs())
      this.#free(name, resource)
    return resource
  }

  #free(name: string, resource: Resource): void {
    resource.holding = undefined
    resource.expiry?.cancel()
    resource.expiry = undefined
    const [next] = resource.waiters.values()
    if (next === undefined) return
    resource.waiters.delete(next.requestId)
    next.granted(this.#give(name, resource, next))
  }

  #give(name: string, resource: Resource, claim: Claim): Holding {
    this.#lastToken += 1n
    const { requestId, mode, ttlMs, meta } = claim
    const sinceMs = this.clock.monotonicMs()
    const token = new FencingToken(this.#lastToken)
    resource.holding = { requestId, mode, ttlMs, meta, token, slot: undefined, sinceMs, endsAtMs: sinceMs + ttlMs }
    this.#watchExpiry(name, resource)
    return resource.holding
  }

  // Only while somebody waits: otherwise the next request finds the ended holding by itself.
  #watchExpiry(name: string, resource: Resource): void {
    if (resource.waiters.size === 0 || resource.holding === undefined || resource.expiry !== undefined) return
    const delayMs = resource.holding.endsAtMs - this.clock.monotonicMs()
    const look = (): void => {
      resource.expiry = undefined
      this.#settled(name)
      this.#watchExpiry(name, resource)
      this.#dropIfIdle(name, resource)
    }
    // Waiters are awaited by somebody, so their turn must come even if nothing else holds the process.
    resource.expiry = this.clock.setTimer(look, delayMs, { background: false })
  }

  #dropIfIdle(name: string, resource: Resource): void {
    if (resource.waiters.size === 0) {
      resource.expiry?.cancel()
      resource.expiry = undefined
    }
    if (resource.holding === undefined && resource.waiters.size === 0) this.#resources.delete(name)
  }
}
