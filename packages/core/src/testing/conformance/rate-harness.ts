import type { Backend } from '../../backend.ts'
import type { Capability } from './harness.ts'

/** What the conformance suite of rates needs to know of a store, and to do to it. */
export interface RateHarness {
  /** A new client of the same store each time. The suite closes it. */
  openBackend(): Promise<Backend>
  /** A key that no other case uses; nothing but letters, digits and dashes, at most 40 characters. */
  key(): string
  /** Lets time pass: a sleep, or `SimulatedClock.advance`. */
  advance(ms: number): Promise<void>
  /** How late a timer or an answer may be here before it is a fault; 0 with a simulated clock. */
  readonly slackMs: number
  /** What the store still keeps of a key. Empty when it is whole for long, and others take. */
  leftovers(key: string): Promise<readonly string[]>
  /** A client whose clocks go so much ahead, or behind. */
  readonly openAhead: Capability<(ms: number) => Promise<Backend>>
  /** Makes a key look as if the store's clock had gone back by so much since it was written. */
  readonly setBack: Capability<(key: string, ms: number) => Promise<void>>
  /** Stops the server, so that nobody new can connect. What it returns lets it go on. */
  readonly stop: Capability<() => Promise<() => Promise<void>>>
  /** Stops everything on the links of one client, both ways, without closing them. What it returns lets it go on. */
  readonly silence: Capability<(backend: Backend) => Promise<() => Promise<void>>>
  /** Loses what is under way to and from one client, and cuts its connections; it may connect again at once. */
  readonly cut: Capability<(backend: Backend, underWay: () => Promise<unknown>) => Promise<void>>
  /** Kills the server and starts it again. Only where it is the harness's own. */
  readonly restart: Capability<() => Promise<void>>
  /** Makes the server forget the scripts that it was sent. */
  readonly forgetScripts: Capability<() => Promise<void>>
  /** A client that may connect, and not take. */
  readonly openForbidden: Capability<() => Promise<Backend>>
}

/** The promises of rates (see `RateStore`). */
export type RatePromise = 'Q1' | 'Q2' | 'Q3' | 'Q4' | 'Q5' | 'Q6'
