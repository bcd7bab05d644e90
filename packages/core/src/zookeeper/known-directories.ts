import type { RecordChange } from '../ports/records.ts'
import type { DirectoryNode } from './record-directory.ts'

/** What was seen of a record; its version only where it was read. */
export type SeenRecord = 'absent' | 'present' | { readonly version: string }

/** A state of a directory, as far as it was seen. */
export interface SeenDirectory {
  /** Undefined when there is none. */
  readonly node: DirectoryNode | undefined
  readonly records: ReadonlyMap<string, SeenRecord>
}

const DIRECTORIES_MAX = 64
const RECORDS_MAX = 128

/**
 * What this client saw last of directories: a commit that follows needs not look again. It may be out of date; then the commit's
 * conditions do not hold, and it looks.
 */
export class KnownDirectories {
  readonly #seen = new Map<string, SeenDirectory>()

  /** Undefined unless enough was seen for these changes, or can be supposed. */
  get(path: string, changes: readonly RecordChange[]): SeenDirectory | undefined {
    const seen = this.#seen.get(path)
    if (seen === undefined) return undefined
    const records = new Map(seen.records)
    for (const change of changes) {
      const record = records.get(change.id) ?? supposed(change)
      if (record === undefined || (change.expect !== undefined && record === 'present')) return undefined
      records.set(change.id, record)
    }
    return { ...seen, records }
  }

  put(path: string, seen: SeenDirectory): void {
    this.forget(path)
    if (seen.node === undefined || seen.records.size > RECORDS_MAX) return
    this.#seen.set(path, seen)
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > DIRECTORIES_MAX && oldest !== undefined) this.#seen.delete(oldest)
  }

  forget(path: string): void {
    this.#seen.delete(path)
  }
}

/**
 * What a record that was not seen must be like for a change to be meant. To make a node that is there, or to delete one that is not,
 * fails the transaction as a whole.
 */
function supposed({ kind, expect }: RecordChange): SeenRecord | undefined {
  if (kind === 'put' && expect === 'absent') return 'absent'
  return kind === 'delete' && expect === undefined ? 'present' : undefined
}
