import { InvariantError } from '../errors.ts'
import type { EphemeralRecord, Revision, StoredRecord } from '../ports/records.ts'

/** The bytes of an id of a commit or an owner, with which each stored value begins. */
const ID_BYTES = 22
const FIELD_PREFIX = 'r:'
const META = /^(\S+) (\S+) (\d+) (\d+)$/

/** A hash as the driver answers it: the fields of one directory. */
export type StoredFields = Readonly<Record<string, Buffer>>

/** The field of a record. */
export function fieldOf(id: string): string {
  return `${FIELD_PREFIX}${id}`
}

/** What the field `m` tells. */
export function readMeta(meta: string): { readonly revision: Revision; readonly committedAtMs: number } {
  const [, history, commit, number, us] = META.exec(meta) ?? []
  if (history === undefined || commit === undefined) {
    throw new InvariantError(`A directory in Redis has ${JSON.stringify(meta)} for a revision.`)
  }
  return { revision: { history, number: Number(number), commit }, committedAtMs: Math.floor(Number(us) / 1_000) }
}

/** The records among the fields of a directory. */
export function readRecords(fields: StoredFields): ReadonlyMap<string, StoredRecord> {
  const records = new Map<string, StoredRecord>()
  for (const { id, author, value } of entriesOf(fields)) records.set(id, { id, value, version: author })
  return records
}

/** The ephemeral records whose deadlines, in ms of server time, have not passed at `nowMs`. */
export function readEphemerals(
  fields: StoredFields,
  deadlines: ReadonlyMap<string, number>,
  nowMs: number,
): ReadonlyMap<string, EphemeralRecord> {
  const ephemerals = new Map<string, EphemeralRecord>()
  for (const { id, author, value } of entriesOf(fields)) {
    if ((deadlines.get(id) ?? 0) > nowMs) ephemerals.set(id, { id, value, owner: author })
  }
  return ephemerals
}

function* entriesOf(
  fields: StoredFields,
): Generator<{ readonly id: string; readonly author: string; readonly value: Uint8Array }> {
  for (const [field, stored] of Object.entries(fields)) {
    if (!field.startsWith(FIELD_PREFIX)) continue
    // Copied: the driver's buffer may be a part of a bigger one.
    const value = new Uint8Array(stored.subarray(ID_BYTES))
    yield { id: field.slice(FIELD_PREFIX.length), author: stored.toString('latin1', 0, ID_BYTES), value }
  }
}
