import type { Backend } from '../../backend.ts'
import type { Capability } from './harness.ts'

/** What the conformance suite of idempotency needs to know of a store, and to do to it. */
export interface IdempotencyHarness {
  /** A new client of the same store each time. The suite closes it. */
  openBackend(): Promise<Backend>
  /** A key that no other case uses; nothing but letters, digits and dashes, at most 40 characters. */
  key(): string
  /** Lets time pass: a sleep, or `SimulatedClock.advance`. */
  advance(ms: number): Promise<void>
  /** The lease of runs: short enough to wait for, long enough for a few requests. */
  readonly leaseMs: number
  /** How late a timer or an answer may be here before it is a fault; 0 with a simulated clock. */
  readonly slackMs: number
  /** What the store still keeps of a key. Empty when it is over, and others have begun. */
  leftovers(key: string): Promise<readonly string[]>
  /** Makes the store forget one key, behind everybody's back. */
  readonly loseData: Capability<(key: string) => Promise<void>>
  /** Stops everything on the links of one client, both ways, without closing them. What it returns lets it go on. */
  readonly silence: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Stops what the server answers to one client; what is asked arrives. What it returns lets it go on. */
  readonly silenceAnswers: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Cuts all connections of one client once; it may connect again at once. */
  readonly cut: Capability<(backend: Backend) => Promise<void>>
  /** Kills the server and starts it again with its data. Only where it is the harness's own. */
  readonly restart: Capability<() => Promise<void>>
}

/** The promises of idempotency (see `IdempotencyStore`). */
export type IdempotencyPromise = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7'
