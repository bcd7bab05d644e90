import type { Backend } from '../../backend.ts'
import type { BarrierStore } from '../../ports/barriers.ts'
import type { Capability } from './harness.ts'

/** What the conformance suite of barriers needs to know of a store, and to do to it. */
export interface BarrierHarness {
  /** A new client of the same store each time. The suite closes it. */
  openBackend(): Promise<Backend>
  /** Its barriers. */
  barriersOf(backend: Backend): BarrierStore
  /** A name that no other case uses; nothing but letters, digits and dashes, at most 40 characters. */
  barrier(): string
  /** Lets time pass: a sleep, or `SimulatedClock.advance`. */
  advance(ms: number): Promise<void>
  /** The TTL of parties: short enough to wait for, long enough for a few requests. A store with sessions: their timeout. */
  readonly ttlMs: number
  /** What the store still keeps of those who wait and who are in. Empty when nobody does or is. */
  leftovers(barrier: string): Promise<readonly string[]>
  /** Stops everything on the links of one client, both ways, without closing them. What it returns lets it go on. */
  readonly silence: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Cuts all connections of one client once; it may connect again at once. */
  readonly cut: Capability<(backend: Backend) => Promise<void>>
}

/** The promises of barriers (see `BarrierStore`). */
export type BarrierPromise = 'B1' | 'B2' | 'B3' | 'B4' | 'B5'
