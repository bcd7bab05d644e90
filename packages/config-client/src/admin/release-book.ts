import type { CommitOutcome, RecordChange, RecordStore, StoredRecord } from '@holdfast/core'
import { InvariantError, UnknownOutcomeError } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { decodeCandidate, decodeRelease } from '../release/codec.ts'
import type { StoredCandidate, StoredRelease } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import { CANDIDATE, HEAD, placesOf, releaseId, releaseNumberOf, requestRecordId } from '../release/scope.ts'
import type { Withdrawal } from './withdrawals.ts'
import { WITHDRAWN, decodeWithdrawals } from './withdrawals.ts'

/** What a record says, and the version that a change of it expects. */
export interface Entry<T> {
  readonly value: T
  readonly version: string
}

/** What a scope's releases are at, as it was read. */
export interface BookPage {
  readonly head: Entry<StoredRelease> | undefined
  /** The version of a head that cannot be read, for who reads past it. */
  readonly brokenHead: string | undefined
  readonly candidate: Entry<StoredCandidate> | undefined
  readonly withdrawals: Entry<readonly Withdrawal[]> | undefined
  /** The highest number that is known to be taken; 0 when none is. */
  readonly lastNumber: number
  /** The highest number of a release that stands in the history and was not withdrawn; 0 where the history was not read. */
  readonly lastKept: number
  /** The release that the request asked for led to. */
  readonly requested: number | undefined
  /** By the store's clock: when the last commit was made. 0 when there was none. */
  readonly committedAtMs: number
}

/** What to read besides the head and the candidate. */
export interface PageRequest {
  readonly requestId?: string
  /** Reads the whole history for the highest number: for a scope whose head is gone, or older than its history. */
  readonly isThorough?: boolean
  /** Also when the head cannot be read, which otherwise throws. */
  readonly isForgiving?: boolean
  readonly signal?: AbortSignal | undefined
}

/** The records of a releases directory, as far as they were read. */
export interface BookRecords {
  readonly records: ReadonlyMap<string, StoredRecord>
  readonly committedAtMs: number
}

/** What there is of a scope that the store has nothing of. */
export const NO_RECORDS: BookRecords = Object.freeze({ records: new Map<string, never>(), committedAtMs: 0 })

const SENT_MAX = 3
const decoder = new TextDecoder()

/** The releases directory of a scope, as publishers read and write it. */
export class ReleaseBook {
  readonly scope: Scope
  readonly #store: RecordStore
  readonly #directory: string
  #seenHead = 0

  constructor(store: RecordStore, scope: Scope) {
    this.scope = scope
    this.#store = store
    this.#directory = placesOf(scope).releases
  }

  /** The number of the head when there was last seen one; 0 when none was. A store that has no head any more has lost it. */
  get seenHead(): number {
    return this.#seenHead
  }

  /** It was made the head by a commit of ours. */
  sawHead(number: number): void {
    this.#seenHead = number
  }

  async read(page: PageRequest = {}): Promise<BookPage> {
    const { requestId, isThorough = false, signal } = page
    const ids = [HEAD, CANDIDATE, WITHDRAWN, ...(requestId === undefined ? [] : [requestRecordId(requestId)])]
    const request = isThorough ? { directory: this.#directory } : { directory: this.#directory, ids }
    const read = await this.#store.read(request, signal)
    if (read.kind === 'unchanged') throw new InvariantError('A read without a stamp was answered "unchanged".')
    const seen = pageOf(this.scope, read.kind === 'missing' ? NO_RECORDS : read, page)
    if (seen.head !== undefined) this.#seenHead = seen.head.value.release.number
    return seen
  }

  /** The releases of these numbers, as far as they are kept. */
  async releases(numbers: readonly number[], signal?: AbortSignal): Promise<ReadonlyMap<number, StoredRelease>> {
    if (numbers.length === 0) return new Map()
    const read = await this.#store.read({ directory: this.#directory, ids: numbers.map(releaseId) }, signal)
    return read.kind === 'present' ? releasesOf(this.scope, read.records) : new Map()
  }

  /** All that are kept. */
  async allReleases(signal?: AbortSignal): Promise<ReadonlyMap<number, StoredRelease>> {
    const read = await this.#store.read({ directory: this.#directory }, signal)
    return read.kind === 'present' ? releasesOf(this.scope, read.records) : new Map()
  }

  /**
   * Commits. Where the store cannot tell whether it happened, it is looked up: `proof` is a record that the commit puts.
   *
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when even that does not tell.
   */
  async commit(changes: readonly RecordChange[], proof: string, signal?: AbortSignal): Promise<CommitOutcome> {
    const commit = { directory: this.#directory, commitId: this.#store.newId(), changes }
    for (let sent = 1; ; sent += 1) {
      try {
        return await this.#store.commit(commit, signal)
      } catch (error) {
        if (!(error instanceof UnknownOutcomeError)) throw error
        const found = await this.#store
          .read({ directory: this.#directory, ids: [proof] }, signal)
          .catch(() => undefined)
        if (found?.kind === 'present' && found.records.get(proof)?.version === commit.commitId) {
          const { revision, committedAtMs } = found
          return { kind: 'committed', revision: { ...revision, commit: commit.commitId }, committedAtMs }
        }
        // Sent again with the same id it happens once.
        if (sent === SENT_MAX) throw error
      }
    }
  }
}

/** What the records of a releases directory say. */
export function pageOf(
  scope: Scope,
  { records, committedAtMs }: BookRecords,
  { requestId, isForgiving = false }: PageRequest = {},
): BookPage {
  const readHead = (): BookPage['head'] => entryOf(records.get(HEAD), bytes => decodeRelease(scope, bytes))
  const head = isForgiving ? ifReadable(readHead) : readHead()
  const candidate = entryOf(records.get(CANDIDATE), bytes => decodeCandidate(scope, bytes))
  const withdrawals = entryOf(records.get(WITHDRAWN), decodeWithdrawals)
  const request = requestId === undefined ? undefined : records.get(requestRecordId(requestId))
  const kept = [...records.keys()].map(id => releaseNumberOf(id) ?? 0)
  const withdrawn = (withdrawals?.value ?? []).map(({ release }) => release.number)
  return {
    head,
    brokenHead: head === undefined ? records.get(HEAD)?.version : undefined,
    candidate,
    withdrawals,
    lastNumber: Math.max(
      0,
      head?.value.release.number ?? 0,
      candidate?.value.release.number ?? 0,
      ...kept,
      ...withdrawn,
    ),
    lastKept: Math.max(0, ...kept.filter(number => !withdrawn.includes(number))),
    requested: request === undefined ? undefined : decodeRequest(request.value),
    committedAtMs,
  }
}

/** The record that remembers what a request led to. */
export function encodeRequest(number: number): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ number }))
}

function decodeRequest(bytes: Uint8Array): number {
  const match = /^\{"number":(\d{1,10})\}$/.exec(decoder.decode(bytes))
  if (match?.[1] !== undefined) return Number(match[1])
  throw new UntrustedReleaseError('The record of a request is none.')
}

function entryOf<T>(record: StoredRecord | undefined, decode: (bytes: Uint8Array) => T): Entry<T> | undefined {
  return record === undefined ? undefined : { value: decode(record.value), version: record.version }
}

function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof UntrustedReleaseError) return undefined
    throw error
  }
}

function releasesOf(scope: Scope, records: BookRecords['records']): ReadonlyMap<number, StoredRelease> {
  const releases = new Map<number, StoredRelease>()
  for (const [id, record] of records) {
    const number = releaseNumberOf(id)
    if (number !== undefined) releases.set(number, decodeRelease(scope, record.value))
  }
  return releases
}
