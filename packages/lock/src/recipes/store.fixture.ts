import type { Backend, UpdateOptions, UpdateOutcome } from '@holdfast/core'

/** The servers of a store while they run. */
export interface Servers {
  /** Where each listens, on loopback; none where there is nothing between a party and the store. */
  readonly ports: readonly number[]
  /** What one more process would open. It reaches each server by the port that `portOf` answers for its own. */
  open(portOf: (port: number) => number): Backend
  /** A count in something of the user's own (a key, a node, a row), where the store has that. */
  own?(backend: Backend, name: string): Promise<Update>
  readonly failover?: Failover
  stop(): Promise<void>
}

/** Changes a count, and writes it only if nobody else has; what was never written counts as 0. */
export type Update = (
  next: (count: number) => number | Promise<number>,
  options?: UpdateOptions,
) => Promise<UpdateOutcome<unknown>>

/** What happens when the server dies that leads the others. */
export interface Failover {
  /** Whether that server is the one that keeps what has this name. */
  concerns(name: string): Promise<boolean>
  /** Kills it with SIGKILL, by its process id. Resolves once another leads. */
  kill(): Promise<void>
}

/** A store that recipes are run on. */
export interface Store {
  readonly name: string
  /** Of the table "What works where". */
  readonly column: string
  /** `session`: leases last as long as the session of their process, and take no `ttlMs`. */
  readonly leases: 'ttl' | 'session'
  /** Whether a killed server can be replaced. */
  readonly failsOver: boolean
  /** Whether a party is cut off by cutting its link. */
  readonly hasLinks: boolean
  start(): Promise<Servers>
}

/** After how long without a sign of life a party counts as gone. */
export const TTL_MS = 4_000
