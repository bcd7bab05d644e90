import type { BackendKind } from '../scenario.ts'
import type { Place } from '../worker/protocol.ts'

/** A server that locks and protected data are kept on, as the one who breaks it sees it. */
export interface Site extends AsyncDisposable {
  readonly kind: BackendKind
  /** 0 in memory. */
  readonly port: number
  /** Of the server of the protected data. */
  readonly dataPort: number
  /** What is asked for; undefined where a lease lasts as long as its session. */
  readonly ttlMs: number | undefined
  /** How long a lease lasts after its holder died: the TTL, or the session's timeout. */
  readonly leaseMs: number
  /** How long a hand-off lasts before the waiter answers: `claimMs`, or the session's timeout. */
  readonly claimMs: number
  place(ports: { readonly lockPort: number; readonly dataPort: number }): Place
  /** What the store keeps of holders and waiters of a resource. */
  leftovers(resource: string): Promise<readonly string[]>
  /** How many wait for a resource. */
  waiters(resource: string): Promise<number>
  /** The token of the last write that the data took. */
  lastWrite(resource: string): Promise<bigint | undefined>
  /** Makes the store forget who holds and who waits: FLUSHALL, or the deletion of the lock's node. */
  wipe(resource: string): Promise<void>
  /** Kills the server and starts it again with what it kept. */
  restart(): Promise<void>
  /** Kills the server and starts it again with nothing. */
  restartEmpty(): Promise<void>
}
