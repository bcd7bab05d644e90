import type { Clock, Timer } from '../clock.ts'
import { FencingToken } from '../fencing/token.ts'
import { leaseInfo } from '../lease/info.ts'
import type { LeaseInfo } from '../ports/leases.ts'
import type { Claim, Holding, MemoryLeases, Waiter } from './holding.ts'
import { holderOf, lastsMs, partyOf } from './holding.ts'

/** The counter that all tokens of a world come from. */
export interface TokenCounter {
  last(): bigint
  next(): bigint
}

interface Resource {
  /** In the order of their grants. */
  readonly holders: Map<string, Holding>
  readonly waiters: Map<string, Waiter>
  /** Which slots are taken. None below `freeSlot` is free. */
  readonly slots: boolean[]
  freeSlot: number
  /** The token of whoever wrote last, as far back as is known. */
  written: FencingToken | undefined
  expiry: { readonly timer: Timer; readonly atMs: number } | undefined
}

/**
 * Leases that several may hold at a time: of readers and writers, or of permits. Each resource has those who hold it and one queue,
 * whose first is granted as soon as it fits beside the holders; nobody overtakes it. A resource that nobody holds or waits for takes
 * no room.
 */
export class SharedLeases implements MemoryLeases {
  readonly #clock: Clock
  readonly #tokens: TokenCounter
  readonly #resources = new Map<string, Resource>()

  constructor(clock: Clock, tokens: TokenCounter) {
    this.#clock = clock
    this.#tokens = tokens
  }

  tryGrant(name: string, claim: Claim): Holding | undefined {
    const resource = this.#settled(name)
    const own = resource.holders.get(claim.requestId)
    if (own !== undefined) return this.#again(name, own, claim)
    const isTurn = resource.waiters.size === 0 && fits(claim, resource)
    const holding = isTurn ? this.#give(resource, claim) : undefined
    this.#rest(name, resource)
    return holding
  }

  enqueue(name: string, claim: Claim, granted: (holding: Holding) => void): void {
    const resource = this.#settled(name)
    resource.waiters.set(claim.requestId, { ...claim, granted })
    this.#rest(name, resource)
  }

  renew(name: string, requestId: string, ttlMs: number): Holding | undefined {
    const resource = this.#settled(name)
    const holding = resource.holders.get(requestId)
    if (holding !== undefined) holding.endsAtMs = this.#clock.monotonicMs() + ttlMs
    this.#rest(name, resource)
    return holding
  }

  release(name: string, requestId: string): boolean {
    const resource = this.#settled(name)
    resource.waiters.delete(requestId)
    const isHeld = free(resource, requestId)
    this.#serve(resource)
    this.#rest(name, resource)
    return isHeld
  }

  /**
   * Makes a writer a reader, and lets in the readers right behind it. Undefined when it does not write any more; the same step again
   * gives the same reader.
   */
  downgrade(name: string, requestId: string, claim: Claim): Holding | undefined {
    const resource = this.#settled(name)
    const done = resource.holders.get(claim.requestId)
    if (done !== undefined) return this.#again(name, done, claim)
    const isWriting = resource.holders.get(requestId)?.mode?.kind === 'write' && free(resource, requestId)
    // With nothing in between, so that whoever waits finds a reader.
    const holding = isWriting ? this.#give(resource, claim) : undefined
    this.#serve(resource)
    this.#rest(name, resource)
    return holding
  }

  inspect(name: string): LeaseInfo {
    const resource = this.#settled(name)
    const nowMs = this.#clock.monotonicMs()
    const holders = [...resource.holders.values()].map(holding => holderOf(holding, nowMs))
    const info = leaseInfo(name, holders, [...resource.waiters.values()].map(partyOf))
    this.#rest(name, resource)
    return info
  }

  /** The names of all resources that are held or waited for. */
  resources(): readonly string[] {
    return [...this.#resources.keys()]
  }

  #again(name: string, holding: Holding, { requestId, ttlMs }: Claim): Holding | undefined {
    return this.renew(name, requestId, lastsMs(holding, ttlMs, this.#clock.monotonicMs()))
  }

  // The resource as it is now: ended holdings are freed first, and those whose turn that makes it are served.
  #settled(name: string): Resource {
    let resource = this.#resources.get(name)
    if (resource === undefined) {
      resource = {
        holders: new Map(),
        waiters: new Map(),
        slots: [],
        freeSlot: 0,
        written: undefined,
        expiry: undefined,
      }
      this.#resources.set(name, resource)
      return resource
    }
    const nowMs = this.#clock.monotonicMs()
    for (const { requestId, endsAtMs } of resource.holders.values()) {
      if (endsAtMs <= nowMs) free(resource, requestId)
    }
    this.#serve(resource)
    return resource
  }

  #serve(resource: Resource): void {
    for (const next of resource.waiters.values()) {
      if (!fits(next, resource)) return
      resource.waiters.delete(next.requestId)
      next.granted(this.#give(resource, next))
    }
  }

  #give(resource: Resource, { requestId, mode, ttlMs, meta }: Claim): Holding {
    const sinceMs = this.#clock.monotonicMs()
    const token = this.#tokenFor(resource, mode)
    const slot = mode?.kind === 'permit' ? takeSlot(resource) : undefined
    const holding: Holding = { requestId, mode, ttlMs, meta, token, slot, sinceMs, endsAtMs: sinceMs + ttlMs }
    resource.holders.set(requestId, holding)
    return holding
  }

  #tokenFor(resource: Resource, mode: Claim['mode']): FencingToken {
    if (mode?.kind === 'read') {
      // Nobody knows any more who wrote last; it was no later than the last token of all.
      resource.written ??= new FencingToken(this.#tokens.last())
      return resource.written
    }
    const token = new FencingToken(this.#tokens.next())
    if (mode?.kind === 'write') resource.written = token
    return token
  }

  // What is left to do for it once it has been asked: to look again when the next holding ends, or to be forgotten.
  #rest(name: string, resource: Resource): void {
    if (resource.waiters.size > 0) return this.#watchExpiry(name, resource)
    resource.expiry?.timer.cancel()
    resource.expiry = undefined
    if (resource.holders.size === 0) this.#resources.delete(name)
  }

  // Only while somebody waits: otherwise the next request finds the ended holding by itself.
  #watchExpiry(name: string, resource: Resource): void {
    let atMs = Infinity
    for (const { endsAtMs } of resource.holders.values()) atMs = Math.min(atMs, endsAtMs)
    if (resource.expiry !== undefined && resource.expiry.atMs <= atMs) return
    resource.expiry?.timer.cancel()
    const look = (): void => {
      resource.expiry = undefined
      this.#rest(name, this.#settled(name))
    }
    // Waiters are awaited by somebody, so their turn must come even if nothing else holds the process.
    const timer = this.#clock.setTimer(look, atMs - this.#clock.monotonicMs(), { background: false })
    resource.expiry = { timer, atMs }
  }
}

function fits({ mode }: Claim, { holders }: Resource): boolean {
  if (mode?.kind === 'permit') return holders.size < mode.limit
  // A writer holds alone, so any of the holders tells which they are.
  const [holder] = holders.values()
  return holder === undefined || (mode?.kind === 'read' && holder.mode?.kind === 'read')
}

function takeSlot(resource: Resource): number {
  let slot = resource.freeSlot
  while (resource.slots[slot] === true) slot += 1
  resource.slots[slot] = true
  resource.freeSlot = slot + 1
  return slot
}

function free(resource: Resource, requestId: string): boolean {
  const holding = resource.holders.get(requestId)
  if (holding === undefined) return false
  if (holding.slot !== undefined) {
    resource.slots[holding.slot] = false
    resource.freeSlot = Math.min(resource.freeSlot, holding.slot)
  }
  return resource.holders.delete(requestId)
}
