import type { Clock, Timer } from '../clock.ts'
import { RefusedError, UnknownOutcomeError } from '../errors.ts'
import type {
  Commit,
  CommitOutcome,
  DirectoryRead,
  EphemeralRecord,
  EphemeralRequest,
  ReadRequest,
  RecordChange,
  Revision,
  StoredRecord,
} from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import { systemRandom } from '../random.ts'
import { conflictsOf } from '../records/expectations.ts'
import { COMMITS_REMEMBERED, randomId } from '../records/revision.ts'

/** Hears of a change, in the same step of the event loop; with the id of the commit, if it was one. */
export type ChangeListener = (commit?: string) => void

interface Ephemeral {
  readonly record: EphemeralRecord
  /** By the monotonic clock. */
  endsAtMs: number
}

/** One state of a directory. A change makes another one, so a backup is a reference. */
interface Directory {
  readonly revision: Revision
  readonly committedAtMs: number
  readonly records: ReadonlyMap<string, StoredRecord>
  /** What the last commits were answered, oldest first. */
  readonly answers: ReadonlyMap<string, CommitOutcome>
  readonly ephemerals: ReadonlyMap<string, Ephemeral>
  /** Another one after each change of them, never used twice. */
  readonly ephemeralsVersion: number
}

/** How many ids of commits whose answers were forgotten are known as such. */
const FORGOTTEN_MAX = 10_000

/** The directories of a `MemoryWorld`. */
export class MemoryDirectories {
  readonly #clock: Clock
  readonly #directories = new Map<string, Directory>()
  readonly #listeners = new Map<string, Set<ChangeListener>>()
  readonly #ends = new Map<string, Timer>()
  readonly #forgotten = new Set<string>()
  #lastEphemeralsVersion = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  read({ directory: name, ids, ephemerals = false, unless }: ReadRequest): DirectoryRead {
    const directory = this.#settled(name)
    if (directory === undefined) return { kind: 'missing' }
    const stamp = stampOf(directory, ephemerals)
    if (stamp === unless) return { kind: 'unchanged' }
    return {
      kind: 'present',
      revision: directory.revision,
      committedAtMs: directory.committedAtMs,
      records: recordsOf(directory, ids),
      ephemerals: ephemerals ? ephemeralsOf(directory) : new Map(),
      stamp,
    }
  }

  /**
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when the commit happened, and its answer was forgotten.
   * @throws {RefusedError} `HF_REFUSED` when the directory would have too many records.
   */
  commit({ directory: name, commitId, changes }: Commit): CommitOutcome {
    const before = this.#settled(name)
    const answer = before?.answers.get(commitId)
    if (answer !== undefined) return answer
    if (this.#forgotten.has(commitId))
      throw new UnknownOutcomeError(`The answer to the commit ${commitId} is forgotten.`)
    const conflicts = conflictsOf(changes, id => before?.records.get(id)?.version)
    if (conflicts.length > 0) return { kind: 'conflict', conflicts }
    const after = this.#committed(before ?? this.#made(), commitId, changes)
    this.#directories.set(name, after)
    this.#tell(name, commitId)
    return { kind: 'committed', revision: after.revision, committedAtMs: after.committedAtMs }
  }

  join({ directory: name, id, owner, value }: EphemeralRequest, ttlMs: number): void {
    const endsAtMs = this.#clock.monotonicMs() + ttlMs
    const directory = this.#settled(name) ?? this.#made()
    this.#changeEphemerals(name, directory, present =>
      present.set(id, { record: { id, owner, value: value.slice() }, endsAtMs }),
    )
  }

  beat(request: EphemeralRequest, ttlMs: number, value?: Uint8Array): 'kept' | 'gone' | 'replaced' {
    const { directory: name, id, owner } = request
    const ephemeral = this.#settled(name)?.ephemerals.get(id)
    if (ephemeral === undefined) return 'gone'
    if (ephemeral.record.owner !== owner) return 'replaced'
    if (value !== undefined) this.join({ ...request, value }, ttlMs)
    else ephemeral.endsAtMs = this.#clock.monotonicMs() + ttlMs
    return 'kept'
  }

  leave({ directory: name, id, owner }: EphemeralRequest): 'left' | 'lost' {
    const directory = this.#settled(name)
    if (directory?.ephemerals.get(id)?.record.owner !== owner) return 'lost'
    this.#changeEphemerals(name, directory, present => present.delete(id))
    return 'left'
  }

  /** What it returns ends it. */
  listen(name: string, listener: ChangeListener): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    this.#watchEnds(name)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
      this.#watchEnds(name)
    }
  }

  /** Forgets a directory, behind everybody's back: nobody is told. For tests. */
  lose(name: string): void {
    this.#directories.delete(name)
  }

  /** What it returns puts the directory back to what it is now, behind everybody's back. For tests. */
  backUp(name: string): () => void {
    const directory = this.#settled(name)
    return () => {
      if (directory === undefined) this.lose(name)
      else this.#directories.set(name, directory)
    }
  }

  /** Who listens to a directory or is in it: empty when nobody is. */
  leftovers(name: string): readonly string[] {
    const listeners = [...(this.#listeners.get(name) ?? [])].map(() => 'a listener')
    const ephemerals = [...(this.#settled(name)?.ephemerals.keys() ?? [])].map(id => `the ephemeral record "${id}"`)
    return this.#ends.has(name) ? [...listeners, ...ephemerals, 'a timer'] : [...listeners, ...ephemerals]
  }

  // The directory as it is now: without the ephemeral records that have ended.
  #settled(name: string): Directory | undefined {
    const directory = this.#directories.get(name)
    if (directory === undefined) return undefined
    const nowMs = this.#clock.monotonicMs()
    const ended = [...directory.ephemerals].filter(([, { endsAtMs }]) => endsAtMs <= nowMs)
    if (ended.length === 0) return directory
    return this.#changeEphemerals(name, directory, present => {
      for (const [id] of ended) present.delete(id)
    })
  }

  #made(): Directory {
    const history = randomId(systemRandom)
    return {
      revision: { history, number: 0, commit: history },
      committedAtMs: this.#clock.wallMs(),
      records: new Map(),
      answers: new Map(),
      ephemerals: new Map(),
      ephemeralsVersion: 0,
    }
  }

  #committed(before: Directory, commitId: string, changes: readonly RecordChange[]): Directory {
    const records = changedRecords(before.records, commitId, changes)
    const revision = { history: before.revision.history, number: before.revision.number + 1, commit: commitId }
    const committedAtMs = this.#clock.wallMs()
    const answers = new Map(before.answers).set(commitId, { kind: 'committed', revision, committedAtMs })
    const [oldest] = answers.keys()
    if (answers.size > COMMITS_REMEMBERED && oldest !== undefined) {
      answers.delete(oldest)
      this.#forget(oldest)
    }
    return { ...before, revision, committedAtMs, records, answers }
  }

  #forget(commitId: string): void {
    this.#forgotten.add(commitId)
    const [oldest] = this.#forgotten
    if (this.#forgotten.size > FORGOTTEN_MAX && oldest !== undefined) this.#forgotten.delete(oldest)
  }

  #changeEphemerals(name: string, before: Directory, change: (present: Map<string, Ephemeral>) => void): Directory {
    const ephemerals = new Map(before.ephemerals)
    change(ephemerals)
    const after = { ...before, ephemerals, ephemeralsVersion: (this.#lastEphemeralsVersion += 1) }
    this.#directories.set(name, after)
    this.#watchEnds(name)
    this.#tell(name)
    return after
  }

  #tell(name: string, commit?: string): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(commit)
  }

  // Only while somebody listens: otherwise the next who looks finds the ended records by himself.
  #watchEnds(name: string): void {
    this.#ends.get(name)?.cancel()
    this.#ends.delete(name)
    const ends = [...(this.#directories.get(name)?.ephemerals.values() ?? [])].map(({ endsAtMs }) => endsAtMs)
    if (ends.length === 0 || !this.#listeners.has(name)) return
    const look = (): void => {
      this.#ends.delete(name)
      this.#settled(name)
      this.#watchEnds(name)
    }
    this.#ends.set(name, this.#clock.setTimer(look, Math.min(...ends) - this.#clock.monotonicMs()))
  }
}

function changedRecords(
  before: ReadonlyMap<string, StoredRecord>,
  version: string,
  changes: readonly RecordChange[],
): ReadonlyMap<string, StoredRecord> {
  const records = new Map(before)
  for (const change of changes) {
    if (change.kind === 'put') records.set(change.id, { id: change.id, value: change.value.slice(), version })
    if (change.kind === 'delete') records.delete(change.id)
  }
  const { directoryRecordsMax } = RECORD_LIMITS
  if (records.size <= directoryRecordsMax) return records
  throw new RefusedError(`A directory has at most ${directoryRecordsMax} records; this one would have ${records.size}.`)
}

function stampOf({ revision, ephemeralsVersion }: Directory, ephemerals: boolean): string {
  const stamp = `${revision.history}.${revision.number}.${revision.commit}`
  return ephemerals ? `${stamp}.${ephemeralsVersion}` : stamp
}

function recordsOf({ records }: Directory, ids: readonly string[] | undefined): ReadonlyMap<string, StoredRecord> {
  const found = new Map<string, StoredRecord>()
  for (const id of ids ?? records.keys()) {
    const record = records.get(id)
    if (record !== undefined) found.set(id, { ...record, value: record.value.slice() })
  }
  return found
}

function ephemeralsOf({ ephemerals }: Directory): ReadonlyMap<string, EphemeralRecord> {
  const copies = [...ephemerals.values()].map(({ record }) => ({ ...record, value: record.value.slice() }))
  return new Map(copies.map(record => [record.id, record]))
}
