/** Clients of other languages, for tests and benchmarks: `import { startCurator, startKazoo } from '@holdfast/scripts/peers'`. */

/** How something is held: alone, as a reader, as a writer, as one of so many permits, or as the leader. */
export type PeerKind = 'mutex' | 'read' | 'write' | `permit:${number}` | 'leader'

/** Something that a peer holds. */
export interface PeerHold {
  /** Resolves when it is given back. */
  free(): Promise<void>
}

/** A process of another language that uses the same ZooKeeper. It ends with the process that started it. */
export interface Peer extends AsyncDisposable {
  readonly pid: number | undefined
  /** Undefined when others held it for all of the time. Whole paths, as in all of these. */
  hold(kind: PeerKind, path: string, waitMs: number): Promise<PeerHold | undefined>
  /**
   * So many rounds of acquire, be inside for a millisecond, release; rejects when one took a minute. Resolves with how often somebody
   * was met inside who must not be there: everybody inside has a file in the folder `room`, called `<kind>-<unique>`.
   */
  rounds(kind: PeerKind, path: string, count: number, room: string): Promise<number>
  /**
   * How many rounds of acquire, hold and release so many threads do: `apart` with a lock each over one connection, `together` with one
   * lock for all and a connection each.
   */
  race(
    placement: 'apart' | 'together',
    path: string,
    load: { readonly threads: number; readonly ms: number; readonly holdMs: number },
  ): Promise<number>
  /** Curator only: asks the holder of a mutex to give it up. */
  revoke(path: string): Promise<void>
  /** Sets or removes a barrier, or waits until it is removed. */
  barrier(what: 'set' | 'remove' | 'wait', path: string): Promise<void>
  /** Enters a double barrier; resolves when all are in, with how to leave it. */
  enter(path: string, parties: number): Promise<() => Promise<void>>
  /** Ends the process at once: its session stays until it times out. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface PeerOptions {
  readonly connectString: string
  /** @default 10_000 */
  readonly sessionTimeoutMs?: number
}

/** Apache Curator, on a JVM. */
export declare function startCurator(options: PeerOptions): Promise<Peer>

/** kazoo, on Python. */
export declare function startKazoo(options: PeerOptions): Promise<Peer>
