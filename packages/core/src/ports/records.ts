import type { Deadline } from '../lease/deadline.ts'
import type { Subscription } from '../live.ts'

/**
 * Which state of a directory it is. Two are the same only if all three parts are: a commit that a failover lost and another
 * that took its number are told apart by `commit`, and a directory that was wiped and made anew by `history`.
 */
export interface Revision {
  /** Drawn at random when the directory was made. */
  readonly history: string
  /** How many commits there were: 0 in a directory that has had ephemeral records only. */
  readonly number: number
  /** The id of the last commit; in a directory without any it is the history. */
  readonly commit: string
}

/** A record as it was read. */
export interface StoredRecord {
  readonly id: string
  readonly value: Uint8Array
  /** Opaque; a new one with each write, never used twice, also not after the store lost its data. */
  readonly version: string
}

/** A record that lives as long as its owner keeps it. */
export interface EphemeralRecord {
  readonly id: string
  readonly value: Uint8Array
  readonly owner: string
}

/** What a change asks of the record that it changes. */
export type Expectation = 'absent' | { readonly version: string }

/** One change of a commit. No two changes of a commit are to one record. */
export type RecordChange =
  | { readonly kind: 'put'; readonly id: string; readonly value: Uint8Array; readonly expect?: Expectation }
  | { readonly kind: 'delete'; readonly id: string; readonly expect?: Expectation }
  /** Changes nothing: the commit happens only if the record is as expected. */
  | { readonly kind: 'check'; readonly id: string; readonly expect: Expectation }

/** A set of changes that happens as a whole or not at all. */
export interface Commit {
  readonly directory: string
  /** From `RecordStore.newId`; makes the commit repeatable: sent twice it happens once. */
  readonly commitId: string
  readonly changes: readonly RecordChange[]
}

/** A record that was not as the commit expected it. */
export interface RecordConflict {
  readonly id: string
  readonly expected: Expectation
  readonly actual: Expectation
}

/** What became of a commit. */
export type CommitOutcome =
  /** Its records have `revision.commit`, which is the commit's id, as their version. */
  | { readonly kind: 'committed'; readonly revision: Revision; readonly committedAtMs: number }
  /** Nothing was changed. */
  | { readonly kind: 'conflict'; readonly conflicts: readonly RecordConflict[] }

/** What to read of a directory. */
export interface ReadRequest {
  readonly directory: string
  /** Only these records. @default all */
  readonly ids?: readonly string[]
  /** Also the ephemeral records, all of them. @default false */
  readonly ephemerals?: boolean
  /** The stamp of an earlier read of the same request: when nothing has changed since, the answer is a short one. */
  readonly unless?: string
}

/** What a read answers: a snapshot of one revision. */
export type DirectoryRead =
  /** There is no such directory: nothing was ever written to it, or the store lost it. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'present'
      readonly revision: Revision
      /** When the last commit was made (or the directory), in milliseconds since 1970 by the store's clock. */
      readonly committedAtMs: number
      /** By id. */
      readonly records: ReadonlyMap<string, StoredRecord>
      /** By id, as they stood at some moment of the read; empty unless asked for. They come and go without a commit. */
      readonly ephemerals: ReadonlyMap<string, EphemeralRecord>
      /** Opaque: equal stamps mean that nothing of what was asked for has changed. */
      readonly stamp: string
    }

/** Who wants to be in a directory as an ephemeral record. */
export interface EphemeralRequest {
  readonly directory: string
  readonly id: string
  /** From `RecordStore.newId`. */
  readonly owner: string
  readonly value: Uint8Array
  /** How long the record outlives its owner's last beat; undefined means the store's default. A session store serves its session's. */
  readonly ttlMs: number | undefined
}

/** Until when an ephemeral record lives without another beat, by the client's clocks: always before the store ends it. */
export interface Stay {
  readonly deadline: Deadline
  /** The effective one. */
  readonly ttlMs: number
}

/** What became of a beat. */
export type BeatOutcome =
  | ({ readonly kind: 'kept' } & Stay)
  /** It is not there any more: it ran out of time, its session ended, or the store lost its data. Joining again helps. */
  | { readonly kind: 'gone' }
  /** Another owner has joined under the same id. */
  | { readonly kind: 'replaced' }

/** Hears of changes of a directory. Everything that it hears is a hint: it may come twice, late, or never. */
export interface DirectoryListener {
  /** Something may have changed; with `commit`, by that commit. Carries no values. */
  changed(commit?: string): void
  /** From now on changes are told; what came before may have been missed. Called each time it becomes so, the first one included. */
  live(): void
  /** Changes are not told any more, until the next `live`. */
  down(cause: unknown): void
}

/** What one record, and one commit, may be at most. The same for all stores, so that what works on one works on the others. */
export const RECORD_LIMITS: Readonly<{
  recordBytesMax: number
  commitBytesMax: number
  commitChangesMax: number
  directoryRecordsMax: number
}> = Object.freeze({
  /** Half a mebibyte: ZooKeeper's packets end at one. */
  recordBytesMax: 524_288,
  /** Values and ids of all changes together. */
  commitBytesMax: 786_432,
  commitChangesMax: 128,
  directoryRecordsMax: 10_000,
})

/** The TTL of an ephemeral record whose owner named none, where the store has no better one. */
export const EPHEMERAL_TTL_MS_DEFAULT = 15_000

/**
 * Where versioned records are kept, in directories.
 *
 * What a store promises (the conformance suite of `@holdfast/core/testing` tests it):
 *
 * - R1 A commit happens as a whole or not at all, and only if all of its expectations hold. Of two commits that expect the same
 *   version, or absence, one at most happens, the first commit of a directory included: while the store keeps what it
 *   acknowledged no update is lost.
 * - R2 A read is a snapshot of one revision, and never older than a commit or read that this client was answered before, unless
 *   the store itself lost data.
 * - R3 A revision names one state: see `Revision`. Missing, empty and unchanged are different answers.
 * - R4 A commit that is sent again with the same id happens once, and is answered the same while fewer than 32 others came in
 *   between; after that the answer is `HF_UNKNOWN_OUTCOME`, for as long as the store knows of it (see its adapter): a commit is
 *   sent again within seconds, not hours.
 * - R5 Listeners hear of each change while they are live, and are told when they may have missed some. `watchDirectory` makes
 *   from that, and from a check now and then, a view that always converges.
 * - R6 An ephemeral record ends when its owner leaves, or its TTL after the owner's last beat (and up to 2 s, where that needs
 *   somebody to look). A late beat, update or leave of an owner who was replaced touches nothing.
 * - R7 What is too large is refused before it is sent (`RECORD_LIMITS`).
 *
 * Every call settles within the backend's command deadline, or rejects with `UnavailableError` (`HF_UNAVAILABLE`);
 * `RefusedError` (`HF_REFUSED`) is the server's no; `UnknownOutcomeError` (`HF_UNKNOWN_OUTCOME`) says that a commit may have
 * happened.
 */
export interface RecordStore {
  /** `lease` when what was acknowledged survives a crash of the server, `advisory` when it can vanish. Known once connected. */
  readonly guarantee: 'advisory' | 'lease'
  /** A random id for a commit or an owner: 22 characters of base64url. */
  newId(): string
  read(request: ReadRequest, signal?: AbortSignal): Promise<DirectoryRead>
  commit(commit: Commit, signal?: AbortSignal): Promise<CommitOutcome>
  /** Makes the record the owner's, also when another owner had it. Again with the same owner: as a beat with a value. */
  join(request: EphemeralRequest, signal?: AbortSignal): Promise<Stay>
  /** Keeps it; with `value`, also changes it. */
  beat(request: EphemeralRequest, value?: Uint8Array): Promise<BeatOutcome>
  /** Ends it, if it is still the owner's. */
  leave(request: EphemeralRequest): Promise<'left' | 'lost'>
  /** No I/O of the caller's: the listener is told `live` as soon as it is so. Closing it leaves nothing. */
  listen(directory: string, listener: DirectoryListener): Subscription
}
