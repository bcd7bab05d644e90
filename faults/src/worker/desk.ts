import type { MemoryWorld } from '@holdfast/core/memory'
import type { Contender, Wish } from './contender.ts'
import { Belief } from './belief.ts'
import type { Ledger } from './ledger.ts'
import type { HoldReport, LockKind, Place } from './protocol.ts'
import type { Outfit } from './outfit.ts'
import { openOutfit } from './outfit.ts'

/** What a worker has open: clients of the store, and what it believes to hold. */
export class Desk {
  readonly #clients = new Map<string, Outfit>()
  readonly #beliefs = new Map<string, Belief>()
  readonly #clientOf = new Map<string, string>()
  readonly #onLost: (lease: string, report: HoldReport) => void

  constructor(onLost: (lease: string, report: HoldReport) => void) {
    this.#onLost = onLost
  }

  async open(name: string, place: Place, lock: LockKind): Promise<void> {
    this.#clients.set(name, await openOutfit(place, lock, [...this.#clients.values()][0]))
  }

  contender(name: string): Contender {
    return known(this.#clients, name, 'client').contender
  }

  /** The data of the client that took the lease. */
  ledgerOf(lease: string): Ledger {
    return known(this.#clients, known(this.#clientOf, lease, 'lease'), 'client').ledger
  }

  /** The world of clients in memory. */
  get world(): MemoryWorld | undefined {
    return [...this.#clients.values()][0]?.world
  }

  belief(lease: string): Belief {
    return known(this.#beliefs, lease, 'lease')
  }

  async acquire(client: string, lease: string, wish: Wish): Promise<Belief | undefined> {
    const held = await this.contender(client).acquire(wish)
    if (held === undefined) return undefined
    const belief = new Belief(held, report => this.#onLost(lease, report))
    this.#beliefs.set(lease, belief)
    this.#clientOf.set(lease, client)
    return belief
  }

  async close(): Promise<void> {
    for (const belief of this.#beliefs.values()) belief.stop()
    await Promise.allSettled([...this.#clients.values()].map(outfit => outfit.close()))
  }
}

function known<T>(map: ReadonlyMap<string, T>, name: string, what: string): T {
  const value = map.get(name)
  if (value === undefined) throw new Error(`This worker has no ${what} "${name}".`)
  return value
}
