import type { Clock, RecordChange, RecordStore } from '@holdfast/core'
import { ConflictError, InvariantError, UnknownOutcomeError, systemRandom } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import { decodeContent } from '../release/codec.ts'
import type { ReleaseContent } from '../release/release.ts'
import { pause } from './pause.ts'

/** When each content was last about to be used, by its hash, in milliseconds since 1970. */
type Index = Readonly<Record<string, number>>

/** A content, the bytes of its record, and the hash of both. */
export interface SavedContent {
  readonly hash: string
  readonly bytes: Uint8Array
  readonly content: ReleaseContent
}

const INDEX = 'index'
const TRIES_MAX = 20
const RETRY_MS = 5
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const PRUNED_AT_ONCE = 100
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The contents of a scope that are too large to stand beside their release, each in a record of its own. One more record, the
 * index, says when each was last saved: saving and pruning both write it, so of two that happen at once one has to look again.
 */
export class Contents {
  readonly #store: RecordStore
  readonly #clock: Clock
  readonly #directory: string
  #last: { readonly hash: string; readonly content: ReleaseContent } | undefined
  #saved: { readonly hash: string; readonly atMs: number } | undefined
  #lookedAtMs: number | undefined

  constructor(store: RecordStore, clock: Clock, directory: string) {
    this.#store = store
    this.#clock = clock
    this.#directory = directory
  }

  /** @throws {UntrustedReleaseError} `HF_UNTRUSTED` when it is not there, or not what its hash says. */
  async load(hash: string, signal?: AbortSignal): Promise<ReleaseContent> {
    if (this.#last?.hash === hash) return this.#last.content
    const read = await this.#store.read({ directory: this.#directory, ids: [hash] }, signal)
    const record = read.kind === 'present' ? read.records.get(hash) : undefined
    if (record === undefined) {
      throw new UntrustedReleaseError(`The content ${hash} of a release is not in the store any more.`)
    }
    const content = decodeContent(record.value, hash)
    this.#last = { hash, content }
    return content
  }

  /** Saves it under its hash, or notes that it is about to be used again. */
  async save({ hash, bytes, content }: SavedContent, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.wallMs()
    if (this.#saved?.hash === hash && Math.abs(nowMs - this.#saved.atMs) < HOUR_MS) return
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const { index, version } = await this.#readIndex(signal)
      const isSaved = await this.#write({ ...index, [hash]: nowMs }, version, { hash, bytes }, signal)
      if (isSaved) {
        this.#saved = { hash, atMs: nowMs }
        this.#last = { hash, content }
        return
      }
      await pause(this.#clock, RETRY_MS * 2 ** Math.min(tries, 7) * systemRandom.next(), signal)
    }
    throw new ConflictError(`the list of contents in "${this.#directory}"`, {
      expected: 'left alone for a moment',
      actual: `changed by others ${TRIES_MAX} times in a row`,
    })
  }

  /**
   * Takes out contents that nothing refers to, if none was saved within a day: a publisher saves before it refers, so `references`
   * is asked after the index was read. Looks once an hour at most.
   */
  async prune(references: () => Promise<ReadonlySet<string>>): Promise<void> {
    const nowMs = this.#clock.wallMs()
    if (this.#lookedAtMs !== undefined && Math.abs(nowMs - this.#lookedAtMs) < HOUR_MS) return
    this.#lookedAtMs = nowMs
    const { index, version } = await this.#readIndex()
    const old = Object.keys(index).filter(hash => nowMs - (index[hash] ?? nowMs) > DAY_MS)
    if (version === undefined || old.length === 0) return
    const used = await references()
    const unused = new Set(old.filter(hash => !used.has(hash)).slice(0, PRUNED_AT_ONCE))
    if (unused.size === 0) return
    const kept = Object.fromEntries(Object.entries(index).filter(([hash]) => !unused.has(hash)))
    await this.#store.commit({
      directory: this.#directory,
      commitId: this.#store.newId(),
      changes: [
        { kind: 'put', id: INDEX, value: encodeIndex(kept), expect: { version } },
        ...[...unused].map(id => ({ kind: 'delete', id }) as const),
      ],
    })
  }

  async #write(
    index: Index,
    version: string | undefined,
    content: { readonly hash: string; readonly bytes: Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const expect = version === undefined ? 'absent' : { version }
    const changes: readonly RecordChange[] = [
      { kind: 'put', id: content.hash, value: content.bytes },
      { kind: 'put', id: INDEX, value: encodeIndex(index), expect },
    ]
    const commit = { directory: this.#directory, commitId: this.#store.newId(), changes }
    try {
      return (await this.#store.commit(commit, signal)).kind === 'committed'
    } catch (error) {
      // Saved twice is saved.
      if (error instanceof UnknownOutcomeError) return false
      throw error
    }
  }

  async #readIndex(signal?: AbortSignal): Promise<{ readonly index: Index; readonly version: string | undefined }> {
    const read = await this.#store.read({ directory: this.#directory, ids: [INDEX] }, signal)
    if (read.kind === 'unchanged') throw new InvariantError('A read without a stamp was answered "unchanged".')
    const record = read.kind === 'present' ? read.records.get(INDEX) : undefined
    if (record === undefined) return { index: {}, version: undefined }
    return { index: decodeIndex(record.value), version: record.version }
  }
}

function encodeIndex(index: Index): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(index))
}

// One that cannot be read is written anew: what it listed is never pruned, and nothing else is lost.
function decodeIndex(bytes: Uint8Array): Index {
  try {
    const index: unknown = JSON.parse(decoder.decode(bytes))
    if (typeof index === 'object' && index !== null && Object.values(index).every(Number.isFinite)) {
      return index as Index
    }
  } catch {
    // As below.
  }
  return {}
}
