import type { Ends } from './ephemeral-ends.ts'
import type { DirectoryRead, EphemeralRecord, ReadRequest, StoredRecord } from '../ports/records.ts'

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/** A row of an answer, as text. */
export type ReadRow = readonly (string | null)[]

/** What to look for among the ends of ephemeral records. */
export interface EndsRequest {
  readonly directory: string
  readonly sinceMs: number
}

/**
 * One statement, and so one snapshot: a row of the directory (`d`), then its records (`r`) and ephemeral records (`e`), unless
 * the stamp is the one that is known. Values come as hexadecimal text, which no setting of the server or driver changes.
 */
export function readStatement(schema: string, { directory, ids, ephemerals = false, unless }: ReadRequest): Statement {
  const text = ephemerals ? withEphemerals(schema) : withoutEphemerals(schema)
  const isNews = '(SELECT stamp FROM s) IS DISTINCT FROM $2::text'
  const records = `
    SELECT 'r', id, encode(value, 'hex'), version, NULL, NULL FROM ${schema}.records
      WHERE history = (SELECT history FROM s) AND ${isNews}${ids === undefined ? '' : ' AND id = ANY ($3::text[])'}`
  const ephemeral = `
    UNION ALL SELECT 'e', id, encode(value, 'hex'), owner, NULL, NULL FROM e WHERE ${isNews}`
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
    SELECT ${COLUMNS} FROM s`
}

// The stamp changes with each owner and value, and when a record ends; not with a beat.
function withEphemerals(schema: string): string {
  return `
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now_at),
    e AS MATERIALIZED (
      SELECT e.id, e.value, e.owner, e.changed_at
        FROM moment, ${schema}.directories d JOIN ${schema}.ephemerals e USING (history)
        WHERE d.name = $1 AND e.ends_at > now_at),
    joined AS MATERIALIZED (
      SELECT encode(sha256(convert_to(coalesce(string_agg(
        id || ' ' || owner || ' ' || extract(epoch FROM changed_at), ',' ORDER BY id), ''), 'UTF8')), 'hex') AS digest FROM e),
    s AS MATERIALIZED (
      SELECT d.*, ${REVISION} || '.' || digest AS stamp FROM ${schema}.directories d, joined WHERE name = $1)
    SELECT ${COLUMNS} FROM s`
}

export function readOf(rows: readonly ReadRow[], unless: string | undefined): DirectoryRead {
  const directory = rows.find(([kind]) => kind === 'd')
  if (directory === undefined) return { kind: 'missing' }
  const [, history = '', number, commit = '', committedAtMs, stamp = ''] = present(directory)
  if (stamp === unless) return { kind: 'unchanged' }
  const records = new Map<string, StoredRecord>()
  const ephemerals = new Map<string, EphemeralRecord>()
  for (const row of rows) {
    const [kind, id = '', hex = '', last = ''] = present(row)
    if (kind === 'r') records.set(id, { id, value: bytesOf(hex), version: last })
    if (kind === 'e') ephemerals.set(id, { id, value: bytesOf(hex), owner: last })
  }
  return {
    kind: 'present',
    revision: { history, number: Number(number), commit },
    committedAtMs: Number(committedAtMs),
    records,
    ephemerals,
    stamp,
  }
}

/** Of the ephemeral records of a directory: whether one ended in the last `sinceMs`, and when the first of those left does. */
export function endsStatement(schema: string, { directory, sinceMs }: EndsRequest): Statement {
  return {
    text: `
      WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now_at)
      SELECT bool_or(ends_at <= now_at AND ends_at > now_at - $2 * interval '1 ms')::text,
          ceil(extract(epoch FROM min(ends_at - now_at) FILTER (WHERE ends_at > now_at)) * 1000)::text
        FROM moment, ${schema}.directories d JOIN ${schema}.ephemerals e USING (history) WHERE d.name = $1`,
    values: [directory, Math.ceil(sinceMs)],
  }
}

export function endsOf([hasEnded, nextEndMs]: ReadRow): Ends {
  return { hasEnded: hasEnded === 'true', nextEndMs: typeof nextEndMs === 'string' ? Number(nextEndMs) : undefined }
}

function present(row: ReadRow): readonly (string | undefined)[] {
  return row.map(column => column ?? undefined)
}

// A copy: the driver of buffers keeps small ones in one piece of memory.
function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
