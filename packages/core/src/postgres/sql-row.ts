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
 * - `{ timestamp: 'updated_at' }`: a column of type `timestamptz` or `timestamp` that each write sets to the server's time, or a
 *   microsecond after what it was where that is no later. It is compared by the server, since a `Date` holds milliseconds only.
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
  /** Columns that name one row, and their values. */
  readonly key: SqlRow
  readonly unchanged: Unchanged
}

const KNOWN: ReadonlySet<string> = new Set(['table', 'key', 'unchanged'])
const SEEN = '__seen'

/**
 * A row of a table of yours as a cell for `updateIfUnchanged`. `change` is given a copy and answers the whole row; what is written are
 * the columns that differ from what was read, but for those that tell whether it is unchanged (`version`, `timestamp`), which the
 * update moves on by itself: their values in the outcome are those that were read. A row that is not there is not made.
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
  const { seen, moves, moved } = tokenOf(options.unchanged)
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
      // What is given away may be changed in place: what was read is kept apart.
      return { value: structuredClone(row) as Row, version: { token, row } satisfies SeenRow }
    },
    async writeIfUnchanged({ version }, value) {
      if (version === undefined) {
        throw new InvalidArgumentError('key', `Expected ${name} to be there: an update makes no rows.`)
      }
      checkRow('value', value)
      const { token, row } = version as SeenRow
      const changed = Object.keys(value).filter(column => column !== moved && !isSame(value[column], row[column]))
      const sets = changed.map((column, at) => `${quoted('column', column)} = $${values.length + 2 + at}`)
      const bound = [...values, token, ...changed.map(column => value[column])]
      const condition = `${where} AND ${seen} IS NOT DISTINCT FROM $${values.length + 1}`
      const all = [...sets, ...moves]
      const text =
        all.length === 0
          ? `SELECT 1 FROM ${table} WHERE ${condition}`
          : `UPDATE ${table} SET ${all.join(', ')} WHERE ${condition} RETURNING 1`
      const { rows } = await sql.query(text, bound).catch((error: unknown) => {
        if (isStatementError(error)) throw error
        throw new UnknownOutcomeError(`No answer came to a write of ${name}, which may have been made.`, {
          cause: withoutSecrets(error),
        })
      })
      return rows.length === 1
    },
  }
}

/** What was read of a row, and what tells it from other states. */
interface SeenRow {
  readonly token: unknown
  readonly row: SqlRow
}

// As the driver would write them: dates, buffers and JSON have no identity.
function isSame(one: unknown, other: unknown): boolean {
  return Object.is(one, other) || (typeof one === 'object' && JSON.stringify(one) === JSON.stringify(other))
}

/** What tells a row's state from others, as text (so that no digit is lost on the way), and how a write moves it on. */
interface Token {
  readonly seen: string
  readonly moves: readonly string[]
  /** The column that it moves. */
  readonly moved?: string
}

function tokenOf(unchanged: Unchanged): Token {
  checkRow('unchanged', unchanged)
  if ('version' in unchanged) {
    const column = quoted('version', unchanged.version)
    return { seen: `${column}::text`, moves: [`${column} = coalesce(${column}, 0) + 1`], moved: unchanged.version }
  }
  if ('timestamp' in unchanged) {
    const column = quoted('timestamp', unchanged.timestamp)
    const next = `greatest(clock_timestamp(), ${column} + interval '1 microsecond')`
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
