import type { SingleKind } from '../scenario.ts'
import type { Place } from '../worker/protocol.ts'
import type { EnsembleSite } from './ensemble.ts'
import type { QuorumSite } from './quorum.ts'
import type { SentinelSite } from './sentinel.ts'

/** How an actor reaches the servers; what is left out is reached straight. */
export interface Ways {
  readonly lockPort?: number | undefined
  readonly dataPort?: number | undefined
  /** ZooKeeper's, instead of the site's. */
  readonly sessionMs?: number | undefined
}

/** Servers that locks and protected data are kept on, as the one who breaks them sees them. */
export interface SiteFacts extends AsyncDisposable {
  /** What a proxy stands before; 0 in memory. */
  readonly port: number
  /** What is asked for; undefined where a lease lasts as long as its session. */
  readonly ttlMs: number | undefined
  /** How long a lease lasts after its holder died: the TTL, or the session's timeout. */
  readonly leaseMs: number
  place(ways: Ways): Place
  /** How many wait for a resource. */
  waiters(resource: string): Promise<number>
}

/** One server. */
export interface SingleSite extends SiteFacts {
  readonly kind: SingleKind
  /** How long a hand-off lasts before the waiter answers: `claimMs`, or the session's timeout. */
  readonly claimMs: number
  /** What the store keeps of holders and waiters of a resource. */
  leftovers(resource: string): Promise<readonly string[]>
  /** The token of the last write that the data took. */
  lastWrite(resource: string): Promise<bigint | undefined>
  /** Makes the store forget who holds and who waits: FLUSHALL, or the deletion of the lock's node. */
  wipe(resource: string): Promise<void>
  /** Kills the server and starts it again with what it kept. */
  restart(): Promise<void>
  /** Kills the server and starts it again with nothing. */
  restartEmpty(): Promise<void>
}

export type Site = SingleSite | SentinelSite | QuorumSite | EnsembleSite
