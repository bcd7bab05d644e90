import type { Clock, Timer } from '../clock.ts'
import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseHolder, LeaseInfo } from '../ports/leases.ts'
import { decodeMeta } from '../lease/options.ts'
import { MemoryDirectories } from './directories.ts'
import { MemoryRateBuckets } from './rate-buckets.ts'
import { MemoryRuns } from './runs.ts'

/** Somebody who wants a resource. */
export interface Claim {
  readonly requestId: string
  readonly ttlMs: number
  readonly meta: string
}

/** Somebody who has it, until `endsAtMs` by the monotonic clock. */
export interface Holding extends Claim {
  readonly token: FencingToken
  readonly sinceMs: number
  endsAtMs: number
}

interface Waiter extends Claim {
  readonly granted: (holding: Holding) => void
}

interface Resource {
  holding: Holding | undefined
  readonly waiters: Map<string, Waiter>
  expiry: Timer | undefined
}

/**
 * What the clients of one in-process store share. A resource that nobody holds or waits for takes no room: tokens come from one
 * counter of the world, so they grow per resource all the same.
 */
export class MemoryWorld {
  readonly clock: Clock
  readonly directories: MemoryDirectories
  readonly runs: MemoryRuns
  readonly rates: MemoryRateBuckets
  readonly #resources = new Map<string, Resource>()
  #lastToken = 0n

  constructor(clock: Clock) {
    this.clock = clock
    this.directories = new MemoryDirectories(clock)
    this.runs = new MemoryRuns(clock)
    this.rates = new MemoryRateBuckets(clock)
  }

  /** Grants at once, or undefined while another holds it. The same request gets the same token again, and all of its time. */
  tryGrant(name: string, claim: Claim): Holding | undefined {
    const resource = this.#settled(name)
    if (resource.holding?.requestId === claim.requestId) return this.renew(name, claim.requestId, claim.ttlMs)
    if (resource.holding !== undefined) return undefined
    return this.#give(name, resource, claim)
  }

  /** Takes a place in the queue; `granted` is called when its turn comes. */
  enqueue(name: string, claim: Claim, granted: (holding: Holding) => void): void {
    const resource = this.#settled(name)
    resource.waiters.set(claim.requestId, { ...claim, granted })
    this.#watchExpiry(name, resource)
  }

  /** Makes a holding of ours end `ttlMs` from now, or undefined when it is not ours any more. */
  renew(name: string, requestId: string, ttlMs: number): Holding | undefined {
    const { holding } = this.#settled(name)
    if (holding?.requestId !== requestId) return undefined
    holding.endsAtMs = this.clock.monotonicMs() + ttlMs
    return holding
  }

  /** Takes back a request, whether it waits or holds. True when it held. */
  release(name: string, requestId: string): boolean {
    const resource = this.#settled(name)
    resource.waiters.delete(requestId)
    const isHeld = resource.holding?.requestId === requestId
    if (isHeld) this.#free(name, resource)
    this.#dropIfIdle(name, resource)
    return isHeld
  }

  inspect(name: string): LeaseInfo {
    const { holding, waiters } = this.#settled(name)
    const info = leaseInfo(
      name,
      holding === undefined ? [] : [holderOf(holding, this.clock.monotonicMs())],
      [...waiters.values()].map(({ requestId, meta }) => ({ requestId, mode: 'exclusive', meta: decodeMeta(meta) })),
    )
    this.#dropIfIdle(name, this.#settled(name))
    return info
  }

  /** The names of all resources that are held or waited for. */
  resources(): readonly string[] {
    return [...this.#resources.keys()]
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
    const { requestId, ttlMs, meta } = claim
    const sinceMs = this.clock.monotonicMs()
    const token = new FencingToken(this.#lastToken)
    resource.holding = { requestId, ttlMs, meta, token, sinceMs, endsAtMs: sinceMs + ttlMs }
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

function holderOf({ requestId, meta, token, sinceMs, endsAtMs }: Holding, nowMs: number): LeaseHolder {
  return {
    requestId,
    mode: 'exclusive',
    meta: decodeMeta(meta),
    token,
    slot: undefined,
    heldMs: nowMs - sinceMs,
    remainingMs: endsAtMs - nowMs,
  }
}
