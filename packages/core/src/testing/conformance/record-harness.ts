import type { Backend } from '../../backend.ts'
import type { Capability } from './harness.ts'

/** What the conformance suite of records needs to know of a store, and to do to it. */
export interface RecordHarness {
  /** A new client of the same store each time. The suite closes it. */
  openBackend(): Promise<Backend>
  /** A directory that no other case uses; nothing but letters, digits and dashes, at most 40 characters. */
  directory(): string
  /** Lets time pass: a sleep, or `SimulatedClock.advance`. */
  advance(ms: number): Promise<void>
  /** The TTL of ephemeral records: short enough to wait for, long enough for a few requests. A store with sessions: their timeout. */
  readonly ttlMs: number
  /** How late a timer or an answer may be here before it is a fault; 0 with a simulated clock. */
  readonly slackMs: number
  /** What the store still keeps of listeners and ephemeral records of a directory. Empty when nobody listens or is joined. */
  leftovers(directory: string): Promise<readonly string[]>
  /** Makes the store forget one directory, behind everybody's back. */
  readonly loseData: Capability<(directory: string) => Promise<void>>
  /** Copies a directory as it is now; what it returns puts it back like that: a restore from an older backup. */
  readonly backUp: Capability<(directory: string) => Promise<() => Promise<void>>>
  /** Stops everything on the links of one client, both ways, without closing them. What it returns lets it go on. */
  readonly silence: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Cuts all connections of one client once; it may connect again at once. */
  readonly cut: Capability<(backend: Backend) => Promise<void>>
  /** Drops what the server says by itself to one client (messages, watches), until what it returns is called; answers still come. */
  readonly muffle: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Kills the server and starts it again with its data. Only where it is the harness's own. */
  readonly restart: Capability<() => Promise<void>>
  /** Ends the session of one client at the server, if it has one. */
  readonly endSession: Capability<(backend: Backend) => Promise<void>>
}

/** The promises of records (see `RecordStore`). */
export type RecordPromise = 'R1' | 'R2' | 'R3' | 'R4' | 'R5' | 'R6' | 'R7'
