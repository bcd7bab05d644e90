import { InvalidArgumentError, UnknownOutcomeError } from '../errors.ts'
import { show } from '../names.ts'
import type { Cell } from '../optimistic/cell.ts'
import { checkGivenKeys } from '../options.ts'
import { isStatementError, withoutSecrets } from './errors.ts'
import type { PostgresQueryable } from './fence-table.ts'

/** A row as pg gives it. */
export type SqlRow = Readonly<Record<string, unknown>>

/**
 * How it is told that nobody else has written a row.
 *
 * - `{ version: 'version' }`: a column with a number that each write makes greater by one. The safe one: prefer it.
 * - `{ timestamp: 'updated_at' }`: a column of type `timestamptz` or `timestamp` that each write sets to the server's time, or to the
 *   next time that it can hold (`timestamp(3)`: a millisecond later) where that is no later than what it was. It is compared by the
 *   server, since a `Date` holds milliseconds only. Others that write the row have to move it on, too.
 * - `{ columns: ['stock'] }`: these columns still have the values that were read. A row that was changed and changed back passes for
 *   unchanged (ABA), which is right for "sell while there is stock" and wrong where history matters.
 */
export type Unchanged =
  | { readonly version: string }
  | { readonly timestamp: string }
  | { readonly columns: readonly string[] }

/** Which row of which table. */
export interface SqlRowOptions {
  /** As SQL has it, a schema before a dot: `shop.stock`. */
  readonly table: string
  /** Columns that name one row, and their values: null equals nothing, and is refused. */
  readonly key: SqlRow
  readonly unchanged: Unchanged
}

const KNOWN: ReadonlySet<string> = new Set(['table', 'key', 'unchanged'])
const SEEN = '__seen'
const DATATYPE_MISMATCH = '42804'

/**
 * A row of a table of yours as a cell for `updateIfUnchanged`. `change` is given what pg made of it, which it may change in place, and
 * answers the whole row; what is written are the columns that differ from what was read, but for those that tell whether it is unchanged
 * (`version`, `timestamp`), which the update moves on by itself, and those of the key, which have to stay as they are. The outcome has
 * the row as it is after the write. A row that is not there is not made. As always with pg, an array for a column of JSON is written as its text (`JSON.stringify`).
 *
 * @param sql a pool or client of pg (8), or whatever has their `query`. In a transaction of level READ COMMITTED the update is part
 *   of it. What it says (no such column, a violated constraint) is thrown as it is.
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function sqlRow<Row extends object = SqlRow>(sql: PostgresQueryable, options: SqlRowOptions): Cell<Row> {
  if (typeof sql?.query !== 'function') {
    throw new InvalidArgumentError('sql', `Expected \`sql\` to have pg's \`query\`, got ${show(sql)}.`)
  }
  checkGivenKeys('sqlRow', options, KNOWN)
  const table = quotedPath('table', options.table)
  checkRow('key', options.key)
  checkKey(options.key)
  const { seen, moves, moved } = tokenOf(options.unchanged, table)
  const names = Object.entries(options.key).map(([column, value]) => `${column} = ${String(value)}`)
  const name = `the row ${names.join(', ')} of ${options.table}`
  const values = Object.values(options.key)
  const where = Object.keys(options.key)
    .map((column, at) => `${quoted('key', column)} = $${at + 1}`)
    .join(' AND ')
  return {
    name,
    async read() {
      const { rows } = await sql.query(`SELECT *, ${seen} AS "${SEEN}" FROM ${table} WHERE ${where}`, values)
      if (rows.length > 1) {
        throw new InvalidArgumentError('key', `Expected \`key\` to name one row, and it names ${rows.length}.`)
      }
      const [found] = rows as readonly Record<string, unknown>[]
      if (found === undefined) return { value: undefined, version: undefined }
      const { [SEEN]: token, ...row } = found
      if ('timestamp' in options.unchanged) checkMoves(name, options.unchanged.timestamp, token)
      const asRead = Object.fromEntries(Object.entries(row).map(([column, value]) => [column, asWritten(value)]))
      return { value: row as Row, version: { token, asRead } satisfies SeenRow }
    },
    async writeIfUnchanged({ version }, value) {
      if (version === undefined) {
        throw new InvalidArgumentError('key', `Expected ${name} to be there: an update makes no rows.`)
      }
      checkRow('value', value)
      const { token, asRead } = version as SeenRow
      const isChanged = (column: string): boolean => !Object.is(asWritten(value[column]), asRead[column])
      const isOurs = (column: string): boolean => column === moved || Object.hasOwn(options.key, column)
      checkKeyStays(name, options.key, { value, asRead })
      const changed = Object.keys(value).filter(column => !isOurs(column) && isChanged(column))
      const sets = changed.map((column, at) => `${quoted('column', column)} = $${values.length + 2 + at}`)
      const bound = [...values, token, ...changed.map(column => value[column])]
      const condition = `${where} AND ${seen} IS NOT DISTINCT FROM $${values.length + 1}`
      const all = [...sets, ...moves]
      const text =
        all.length === 0
          ? `SELECT * FROM ${table} WHERE ${condition}`
          : `UPDATE ${table} SET ${all.join(', ')} WHERE ${condition} RETURNING *`
      const { rows } = await sql.query(text, bound).catch((error: unknown) => {
        throw unwritten(error, { name, token, version: 'version' in options.unchanged ? moved : undefined })
      })
      return rows.length === 1 && { value: rows[0] as Row }
    },
  }
}

function unwritten(
  error: unknown,
  row: { readonly name: string; readonly token: unknown; readonly version: string | undefined },
): unknown {
  const { name, token, version } = row
  if (!isStatementError(error)) {
    return new UnknownOutcomeError(`No answer came to a write of ${name}, which may have been made.`, {
      cause: withoutSecrets(error),
    })
  }
  // The server names the function in every language.
  const { code, message } = error as Error & { readonly code: string }
  if (version === undefined || code !== DATATYPE_MISMATCH || !message.includes('COALESCE')) return error
  return new InvalidArgumentError(
    'version',
    `Expected ${show(version)} of ${name} to be a column of numbers, which a write makes greater by one, and it is of another type: it holds ${show(token)}.`,
    { cause: withoutSecrets(error) },
  )
}

/** What was read of a row, and what tells it from other states. */
interface SeenRow {
  readonly token: unknown
  /** Of each column what the driver would write: the values themselves are given away, and may be changed in place. */
  readonly asRead: SqlRow
}

// Dates, buffers, intervals and JSON have no identity; what the driver would write of them has.
function asWritten(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  const { toPostgres } = value as { readonly toPostgres?: unknown }
  if (typeof toPostgres === 'function') return asWritten(toPostgres.call(value, asWritten))
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part))
}

/** What tells a row's state from others, as text (so that no digit is lost on the way), and how a write moves it on. */
interface Token {
  readonly seen: string
  readonly moves: readonly string[]
  /** The column that it moves. */
  readonly moved?: string
}

function tokenOf(unchanged: Unchanged, table: string): Token {
  checkRow('unchanged', unchanged)
  if (Object.keys(unchanged).length > 1) {
    const given = Object.keys(unchanged).join(' and ')
    throw new InvalidArgumentError('unchanged', `Expected \`unchanged\` to name one way to tell, got ${given}.`)
  }
  if ('version' in unchanged) {
    const column = quoted('version', unchanged.version)
    return { seen: `${column}::text`, moves: [`${column} = coalesce(${column}, 0) + 1`], moved: unchanged.version }
  }
  if ('timestamp' in unchanged) {
    const column = quoted('timestamp', unchanged.timestamp)
    const next = `greatest(clock_timestamp(), ${column} + ${leastStep(table, unchanged.timestamp)})`
    return { seen: `${column}::text`, moves: [`${column} = ${next}`], moved: unchanged.timestamp }
  }
  if (!('columns' in unchanged) || !Array.isArray(unchanged.columns) || unchanged.columns.length === 0) {
    throw new InvalidArgumentError(
      'unchanged',
      `Expected \`unchanged\` to be { version }, { timestamp } or { columns } with at least one, got ${show(unchanged)}.`,
    )
  }
  const columns = unchanged.columns.map(column => quoted('columns', column))
  return { seen: `jsonb_build_array(${columns.join(', ')})::text`, moves: [] }
}

// A time of few digits is rounded when it is stored: a microsecond more would be the same time again, and the write not be seen.
function leastStep(table: string, column: string): string {
  return `(
    SELECT make_interval(secs => 10 ^ -coalesce(nullif(a.atttypmod, -1), nullif(t.typtypmod, -1), 6))
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = ${literal(table)}::regclass AND a.attname = ${literal(column)})`
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

// A date has no time of day, and infinity no successor: two writes would leave the same.
function checkMoves(name: string, column: string, token: unknown): void {
  if (typeof token !== 'string' || /\d:\d/.test(token)) return
  throw new InvalidArgumentError(
    'timestamp',
    `Expected ${show(column)} of ${name} to be a time that each write can move on, got ${show(token)}.`,
  )
}

// By its text: the driver gives a bigint as one, and who made the key may have a number.
function checkKeyStays(
  name: string,
  key: SqlRow,
  { value, asRead }: { readonly value: SqlRow; readonly asRead: SqlRow },
): void {
  for (const column of Object.keys(key)) {
    if (!Object.hasOwn(value, column)) continue
    const given = String(asWritten(value[column]))
    if (given === String(asRead[column]) || given === String(asWritten(key[column]))) continue
    throw new InvalidArgumentError(
      'value',
      `Expected ${show(column)} to stay as it is, since it is of the key of ${name}, got ${show(value[column])}.`,
    )
  }
}

function checkKey(key: SqlRow): void {
  for (const [column, value] of Object.entries(key)) {
    if (value !== undefined && value !== null) continue
    throw new InvalidArgumentError(
      `key.${column}`,
      `Expected \`key.${column}\` to be a value that names a row, got ${show(value)}.`,
    )
  }
}

function checkRow(name: string, value: unknown): asserts value is SqlRow {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) return
  throw new InvalidArgumentError(
    name,
    `Expected \`${name}\` to be an object with at least one entry, got ${show(value)}.`,
  )
}

function quotedPath(name: string, path: unknown): string {
  return typeof path === 'string'
    ? path
        .split('.')
        .map(part => quoted(name, part))
        .join('.')
    : quoted(name, path)
}

function quoted(name: string, identifier: unknown): string {
  if (typeof identifier === 'string' && identifier !== '' && !identifier.includes('\0')) {
    return `"${identifier.replaceAll('"', '""')}"`
  }
  throw new InvalidArgumentError(name, `Expected \`${name}\` to name something in SQL, got ${show(identifier)}.`)
}
