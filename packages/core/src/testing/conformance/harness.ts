import type { Backend } from '../../backend.ts'

/** Something that a world can do to itself, or why it cannot. */
export type Capability<Run> =
  | { readonly kind: 'supported'; readonly run: Run }
  | { readonly kind: 'unsupported'; readonly why: string }

/** What the conformance suite of leases needs to know of a store, and to do to it. */
export interface LeaseHarness {
  /** A new client of the same store each time. The suite closes it. */
  openBackend(): Promise<Backend>
  /** A name that no other case uses; nothing but letters, digits and dashes, at most 40 characters. */
  resource(): string
  /** Lets time pass: a sleep, or `SimulatedClock.advance`. */
  advance(ms: number): Promise<void>
  /** Keeps the event loop busy for so long: `Atomics.wait`, or `SimulatedClock.stall`. */
  stall(ms: number): void
  /** The TTL of short leases: short enough to wait for, long enough for a few requests. A store with sessions: their timeout. */
  readonly ttlMs: number
  /** How late a timer or an answer may be here before it is a fault; 0 with a simulated clock. */
  readonly slackMs: number
  /** Whether the store serves its waiters in the order in which they came. */
  readonly ordering: 'fifo' | 'none'
  /** Whether `inspect` shows those who wait: a store that knows no queue cannot. @default 'listed' */
  readonly waiters?: 'listed' | 'unlisted'
  /** What the store says of its modes. `exclusive`: it has to refuse every request that has one. */
  readonly modes: 'exclusive' | 'all'
  /** Whether permits have slots (`Grant.slot`). */
  readonly slots: boolean
  /**
   * What the store still keeps of holders and waiters of a resource, in any of its three locks: entries, keys, nodes. Empty when
   * nobody holds or waits.
   */
  leftovers(resource: string): Promise<readonly string[]>
  /** Makes the store forget all that it knows (of this world). */
  readonly loseData: Capability<() => Promise<void>>
  /**
   * Stops everything on the link of one client, both ways, without closing it. What it returns lets it go on. A store whose
   * leases end with a session has to support it: nothing else ends them.
   */
  readonly silence: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** How many requests a client has sent so far. */
  readonly requests: Capability<(backend: Backend) => number>
}

/** The promises of leases (see `LeaseStore`). */
export type LeasePromise = 'L1' | 'L2' | 'L3' | 'L4' | 'L5' | 'L6' | 'L7'

/** One behaviour to test, for any test runner. */
export interface ConformanceCase<Promised extends string = LeasePromise> {
  /** A sentence. */
  readonly name: string
  readonly promise: Promised
  /** Rejects with an `AssertionError` when the behaviour is another. */
  run(): Promise<void>
}
