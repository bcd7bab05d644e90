import type { LeaseMode } from '../../ports/leases.ts'
import { kindOf } from '../../ports/leases.ts'

/** Somebody who wants a lease. */
export interface Claim {
  readonly resource: string
  readonly id: string
  readonly mode: LeaseMode | undefined
  readonly ttlMs: number
  /** How long a lease that is handed over lasts until its first renewal; 0 = it does not queue. */
  readonly claimMs: number
  readonly meta: string
}

/** Somebody who holds, by the server's time in µs. */
export interface Holding extends Claim {
  readonly token: number
  readonly slot: number | undefined
  readonly sinceUs: number
  endsUs: number
}

/** What the server says of its own accord. */
export type Notice =
  | { readonly kind: 'hand-off'; readonly to: string; readonly holding: Holding; readonly spanMs: number }
  | { readonly kind: 'first'; readonly to: string; readonly remainingMs: number }

/** What it answers to one who asks. */
export type ClaimAnswer =
  | { readonly kind: 'granted'; readonly holding: Holding }
  | { readonly kind: 'held' }
  | { readonly kind: 'queued'; readonly remainingMs: number; readonly position: number; readonly isNew: boolean }

/** A request that is still in the table. */
export interface Leftover {
  readonly id: string
  readonly what: string
}

interface Lock {
  lastToken: number
  /** Of permits: the last one of all. */
  holders: Holding[]
  queue: Claim[]
  /** Until when there were at least so many holders, by their number. */
  heldUntilUs: number[]
  /** Until when one of them was no reader. */
  aloneUntilUs: number
  /** Until when the head of the queue was one who could not be served: those behind it wait for it as well. */
  blockedUntilUs: number
  keepUntilUs: number
}

/** A lock that could have been granted. */
export interface FreeLock {
  readonly resource: string
  /** The ids of those who are in its queue or ask now. */
  readonly waiting: readonly string[]
  readonly sinceUs: number
}

/** What a table tells the server that it belongs to. */
export interface TableHooks {
  /** Answers whether anybody listens. */
  readonly publish: (notice: Notice) => boolean
  readonly granted: (holding: Holding) => void
  /** A step finds that the head of the queue, or who asks, could be served, and since when, by the server's time. */
  readonly free: (found: FreeLock) => void
  /** The token after `last`, at a time of the server. */
  readonly tokenAfter: (last: number, nowUs: number) => number
}

/** For so long the last token is kept when nobody holds or waits: after that the server's time alone keeps tokens growing. */
const RETENTION_US = 60_000_000

/**
 * What a store with a queue keeps of its leases, and its steps: the same as those of the stores for Redis and PostgreSQL, for every
 * mode. Time is the server's; what has ended is found by the next step on the same lock.
 */
export class LeaseTable {
  readonly #hooks: TableHooks
  readonly #locks: Map<string, Lock>

  constructor(hooks: TableHooks, locks: Map<string, Lock> = new Map()) {
    this.#hooks = hooks
    this.#locks = locks
  }

  /** As it is now, to come back to. */
  copy(): LeaseTable {
    const locks = new Map<string, Lock>()
    for (const [name, lock] of this.#locks) {
      const holders = lock.holders.map(holding => ({ ...holding }))
      locks.set(name, { ...lock, holders, queue: [...lock.queue], heldUntilUs: [...lock.heldUntilUs] })
    }
    return new LeaseTable(this.#hooks, locks)
  }

  /** Grants, or takes a place in the queue. Again with the same id: the same answer, and all of its time at least. */
  claim(claim: Claim, nowUs: number): ClaimAnswer {
    const lock = this.#lock(claim, nowUs)
    const own = lock.holders.find(({ id }) => id === claim.id)
    if (own !== undefined) {
      own.endsUs = Math.max(own.endsUs, nowUs + claim.ttlMs * 1_000)
      return { kind: 'granted', holding: own }
    }
    this.#tellFree(lock, claim)
    const granted = this.#serve(lock, nowUs, claim)
    if (granted !== undefined) return { kind: 'granted', holding: granted }
    if (lock.queue.length === 0 && isAdmitted(lock, claim)) {
      return { kind: 'granted', holding: this.#give(lock, claim, { nowUs, spanMs: claim.ttlMs }) }
    }
    if (claim.claimMs === 0) return { kind: 'held' }
    const isNew = !lock.queue.some(({ id }) => id === claim.id)
    if (isNew) lock.queue.push(claim)
    const position = lock.queue.findIndex(({ id }) => id === claim.id)
    return { kind: 'queued', remainingMs: remainingMs(lock, claim, nowUs), position, isNew }
  }

  /** False when it is not its own any more. */
  renew(claim: Pick<Claim, 'resource' | 'id' | 'mode'>, ttlMs: number, nowUs: number): boolean {
    const lock = this.#lock(claim, nowUs)
    const own = lock.holders.find(({ id }) => id === claim.id)
    if (own === undefined) return false
    const isSooner = nowUs + ttlMs * 1_000 < own.endsUs
    own.endsUs = nowUs + ttlMs * 1_000
    if (isSooner) this.#tellFirst(lock, nowUs)
    return true
  }

  /** Frees what it holds, or leaves the queue. True when it held until now. */
  release(claim: Pick<Claim, 'resource' | 'id' | 'mode'>, nowUs: number): boolean {
    const lock = this.#lock(claim, nowUs)
    this.#tellFree(lock)
    const own = lock.holders.find(({ id }) => id === claim.id)
    const isHeld = own !== undefined
    if (isHeld) end(lock, own, nowUs)
    const [head] = lock.queue
    const wasFirst = head?.id === claim.id
    if (wasFirst && !isAdmitted(lock, head)) lock.blockedUntilUs = nowUs
    lock.queue = lock.queue.filter(({ id }) => id !== claim.id)
    if (isHeld || wasFirst) this.#serve(lock, nowUs)
    return isHeld
  }

  /**
   * Makes a writer's a reader's in one step; readers that wait behind it are served with it. Again: the same, and all of its time.
   * Undefined when it is not its own any more.
   */
  downgrade(from: Pick<Claim, 'resource' | 'id' | 'mode'>, to: Claim, nowUs: number): Holding | undefined {
    const lock = this.#lock(from, nowUs)
    const done = lock.holders.find(({ id }) => id === to.id)
    if (done !== undefined) {
      done.endsUs = Math.max(done.endsUs, nowUs + to.ttlMs * 1_000)
      return done
    }
    const writer = lock.holders.find(({ id }) => id === from.id)
    if (writer === undefined) return undefined
    end(lock, writer, nowUs)
    const reader = this.#give(lock, to, { nowUs, spanMs: to.ttlMs })
    this.#serve(lock, nowUs)
    return reader
  }

  /** Who holds and who waits, of one lock. */
  look(
    claim: Pick<Claim, 'resource' | 'mode'>,
    nowUs: number,
  ): { readonly holders: readonly Holding[]; readonly queue: readonly Claim[] } {
    const { holders, queue } = this.#lock(claim, nowUs)
    return { holders, queue }
  }

  /** All that is still held or waited for. */
  leftovers(nowUs: number): readonly Leftover[] {
    const left: Leftover[] = []
    for (const [name, lock] of this.#locks) {
      for (const { id, endsUs } of lock.holders) {
        if (endsUs > nowUs) left.push({ id, what: `${name} is held by ${id}` })
      }
      for (const { id } of lock.queue) left.push({ id, what: `${id} waits for ${name}` })
    }
    return left
  }

  // The lock as it is now: what has ended is gone.
  #lock(claim: Pick<Claim, 'resource' | 'mode'>, nowUs: number): Lock {
    const name = `${kindOf(claim.mode)} ${claim.resource}`
    let lock = this.#locks.get(name)
    if (lock === undefined || (lock.keepUntilUs <= nowUs && lock.queue.length === 0)) {
      lock = newLock()
      this.#locks.set(name, lock)
    }
    const ended = lock.holders.filter(({ endsUs }) => endsUs <= nowUs).toSorted((a, b) => a.endsUs - b.endsUs)
    for (const holding of ended) end(lock, holding, holding.endsUs)
    lock.keepUntilUs = Math.max(nowUs, ...lock.holders.map(({ endsUs }) => endsUs)) + RETENTION_US
    return lock
  }

  #tellFree(lock: Lock, asking?: Claim): void {
    const head = lock.queue[0] ?? asking
    if (head === undefined || !isAdmitted(lock, head)) return
    const waiting = lock.queue.map(({ id }) => id)
    if (asking !== undefined) waiting.push(asking.id)
    this.#hooks.free({ resource: head.resource, waiting, sinceUs: freeSinceUs(lock, head) })
  }

  // Hands it to those at the head of the queue, as far as it can be shared. One of them may be who asks: that one gets all of its time.
  #serve(lock: Lock, nowUs: number, asking?: Claim): Holding | undefined {
    const before = lock.queue.length
    let own: Holding | undefined
    for (;;) {
      const [head] = lock.queue
      if (head === undefined || !isAdmitted(lock, head)) break
      lock.queue.shift()
      if (head.id === asking?.id) own = this.#give(lock, asking, { nowUs, spanMs: asking.ttlMs })
      else this.#handOff(lock, head, nowUs)
    }
    // News for whoever is first now: also that one of several holders is gone.
    if (lock.queue.length < before || asking === undefined) this.#tellFirst(lock, nowUs)
    return own
  }

  #tellFirst(lock: Lock, nowUs: number): void {
    const [first] = lock.queue
    if (first === undefined) return
    this.#hooks.publish({ kind: 'first', to: first.id, remainingMs: remainingMs(lock, first, nowUs) })
  }

  // Nobody listening means that the waiter is gone.
  #handOff(lock: Lock, claim: Claim, nowUs: number): void {
    const spanMs = Math.min(claim.ttlMs, claim.claimMs)
    const holding = holdingOf(lock, claim, { nowUs, spanMs, token: this.#tokenFor(lock, claim, nowUs) })
    if (this.#hooks.publish({ kind: 'hand-off', to: claim.id, holding, spanMs })) this.#take(lock, holding)
  }

  #give(lock: Lock, claim: Claim, grant: { readonly nowUs: number; readonly spanMs: number }): Holding {
    const holding = holdingOf(lock, claim, { ...grant, token: this.#tokenFor(lock, claim, grant.nowUs) })
    this.#take(lock, holding)
    return holding
  }

  #take(lock: Lock, holding: Holding): void {
    lock.lastToken = holding.token
    lock.holders.push(holding)
    this.#hooks.granted(holding)
  }

  // A reader carries the token of the last writer; where that is forgotten, one that is greater than it was.
  #tokenFor(lock: Lock, { mode }: Claim, nowUs: number): number {
    if (mode?.kind === 'read' && lock.lastToken > 0) return lock.lastToken
    return this.#hooks.tokenAfter(lock.lastToken, nowUs)
  }
}

function newLock(): Lock {
  const neverUs = -Infinity
  return {
    lastToken: 0,
    holders: [],
    queue: [],
    heldUntilUs: [],
    aloneUntilUs: neverUs,
    blockedUntilUs: neverUs,
    keepUntilUs: Infinity,
  }
}

function end(lock: Lock, holding: Holding, atUs: number): void {
  lock.heldUntilUs[lock.holders.length] = atUs
  if (holding.mode?.kind !== 'read') lock.aloneUntilUs = atUs
  lock.holders = lock.holders.filter(other => other !== holding)
}

// Of one who can be served: since when, as far as those before it are concerned.
function freeSinceUs({ heldUntilUs, aloneUntilUs, blockedUntilUs }: Lock, { mode }: Claim): number {
  const fewest = mode?.kind === 'permit' ? mode.limit : 1
  const untilUs = mode?.kind === 'read' ? aloneUntilUs : (heldUntilUs[fewest] ?? -Infinity)
  return Math.max(untilUs, blockedUntilUs)
}

function isAdmitted({ holders }: Lock, { mode }: Claim): boolean {
  if (mode?.kind === 'permit') return holders.length < mode.limit
  if (mode?.kind === 'read') return holders.every(holder => holder.mode?.kind === 'read')
  return holders.length === 0
}

function holdingOf(
  { holders }: Lock,
  claim: Claim,
  grant: { readonly nowUs: number; readonly spanMs: number; readonly token: number },
): Holding {
  const { resource, id, mode, ttlMs, claimMs, meta } = claim
  const { nowUs, spanMs, token } = grant
  const slot = mode?.kind === 'permit' ? lowestFree(holders) : undefined
  const endsUs = nowUs + spanMs * 1_000
  return { resource, id, mode, ttlMs, claimMs, meta, token, slot, sinceUs: nowUs, endsUs }
}

function lowestFree(holders: readonly Holding[]): number {
  const taken = new Set(holders.map(({ slot }) => slot))
  let slot = 0
  while (taken.has(slot)) slot += 1
  return slot
}

// Until one who waits could be served if nobody who holds renews: permits as soon as one ends, others once all have.
function remainingMs({ holders }: Lock, { mode }: Claim, nowUs: number): number {
  if (holders.length === 0) return 0
  const ends = holders.map(({ endsUs }) => endsUs)
  const atUs = mode?.kind === 'permit' ? Math.min(...ends) : Math.max(...ends)
  return Math.max(0, Math.ceil((atUs - nowUs) / 1_000))
}
