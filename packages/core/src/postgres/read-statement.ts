import type { Ends } from './ephemeral-ends.ts'
import type { DirectoryRead, EphemeralRecord, ReadRequest, StoredRecord } from '../ports/records.ts'

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/** A row of an answer; what the columns are depends on the kind. */
export type ReadRow = readonly [kind: string, ...columns: (string | null)[]]

/** What a read answered, and of ephemeral records, where it asked for them. */
export interface ReadAnswer {
  readonly read: DirectoryRead
  readonly ends: Ends
}

/**
 * One statement, and so one snapshot: a row of the directory (`d`), then its records (`r`) and ephemeral records (`e`), unless
 * the stamp is the one that is known. Values come as hexadecimal text, which no setting of the server or driver changes.
 */
export function readStatement(schema: string, { directory, ids, ephemerals = false, unless }: ReadRequest): Statement {
  const text = ephemerals ? withEphemerals(schema) : withoutEphemerals(schema)
  const isNews = '(SELECT stamp FROM s) IS DISTINCT FROM $2::text'
  const records = `
    SELECT 'r', id, encode(value, 'hex'), version, NULL, NULL, NULL FROM ${schema}.records
      WHERE history = (SELECT history FROM s) AND ${isNews}${ids === undefined ? '' : ' AND id = ANY ($3::text[])'}`
  const ephemeral = `
    UNION ALL SELECT 'e', id, encode(value, 'hex'), owner, NULL, NULL, NULL FROM e WHERE ${isNews}`
  return {
    text: `${text} UNION ALL ${records}${ephemerals ? ephemeral : ''}`,
    values: [directory, unless ?? null, ...(ids === undefined ? [] : [ids])],
  }
}

const REVISION = `history || '.' || number || '.' || coalesce(commit_id, history)`
const COLUMNS = `'d', history, number::text, coalesce(commit_id, history), committed_at_ms::text, stamp`

function withoutEphemerals(schema: string): string {
  return `
    WITH s AS MATERIALIZED (SELECT *, ${REVISION} AS stamp FROM ${schema}.directories WHERE name = $1)
    SELECT ${COLUMNS}, NULL FROM s`
}

// The digest changes with each owner and value, and when a record ends; not with a beat.
function joined(schema: string): string {
  return `
    moment AS MATERIALIZED (SELECT clock_timestamp() AS now_at),
    e AS MATERIALIZED (
      SELECT e.id, e.value, e.owner, e.changed_at, e.ends_at - now_at AS remaining
        FROM moment, ${schema}.directories d JOIN ${schema}.ephemerals e USING (history) WHERE d.name = $1 AND e.ends_at > now_at),
    joined AS MATERIALIZED (
      SELECT encode(sha256(convert_to(coalesce(string_agg(
          id || ' ' || owner || ' ' || extract(epoch FROM changed_at), ',' ORDER BY id), ''), 'UTF8')), 'hex') AS digest,
        ceil(extract(epoch FROM min(remaining)) * 1000)::text AS next_end_ms FROM e)`
}

/** What of ephemeral records is needed to know when to look again; answered by one row. */
export function endsStatement(schema: string, directory: string): Statement {
  return { text: `WITH ${joined(schema)} SELECT digest, next_end_ms FROM joined`, values: [directory] }
}

export function endsOf([digest, nextEndMs]: ReadRow): Ends {
  return { digest, nextEndMs: nextEndMs === null || nextEndMs === undefined ? undefined : Number(nextEndMs) }
}

function withEphemerals(schema: string): string {
  return `
    WITH ${joined(schema)},
    s AS MATERIALIZED (
      SELECT d.*, ${REVISION} || '.' || digest AS stamp, next_end_ms FROM ${schema}.directories d, joined WHERE name = $1)
    SELECT ${COLUMNS}, next_end_ms FROM s`
}

export function readAnswerOf(rows: readonly ReadRow[], unless: string | undefined): ReadAnswer {
  const directory = rows.find(([kind]) => kind === 'd')
  if (directory === undefined) return { read: { kind: 'missing' }, ends: { digest: '', nextEndMs: undefined } }
  const [, history = '', number, commit = '', committedAtMs, stamp = '', nextEnd] = present(directory)
  const ends = endsOf([stamp.slice(stamp.lastIndexOf('.') + 1), nextEnd ?? null])
  if (stamp === unless) return { read: { kind: 'unchanged' }, ends }
  const records = new Map<string, StoredRecord>()
  const ephemerals = new Map<string, EphemeralRecord>()
  for (const row of rows) {
    const [kind, id = '', hex = '', last = ''] = present(row)
    if (kind === 'r') records.set(id, { id, value: bytesOf(hex), version: last })
    if (kind === 'e') ephemerals.set(id, { id, value: bytesOf(hex), owner: last })
  }
  const revision = { history, number: Number(number), commit }
  const read: DirectoryRead = {
    kind: 'present',
    revision,
    committedAtMs: Number(committedAtMs),
    records,
    ephemerals,
    stamp,
  }
  return { read, ends }
}

function present(row: ReadRow): readonly (string | undefined)[] {
  return row.map(column => column ?? undefined)
}

// A copy: the driver of buffers keeps small ones in one piece of memory.
function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
