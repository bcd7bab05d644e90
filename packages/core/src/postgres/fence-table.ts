import type { ClientBase } from 'pg'
import { InvalidArgumentError } from '../errors.ts'
import type { Fenced } from '../fencing/guard.ts'
import { refusedAsStale } from '../fencing/refusal.ts'
import { FencingToken } from '../fencing/token.ts'
import { checkName, show } from '../names.ts'
import type { Schema } from './schema.ts'

/** The table of fences that a backend's schema has. */
export const FENCE_TABLE = 'fences'

const IDENTIFIER_BYTES_MAX = 63

/** What runs a statement: a client of pg, one of its pool in a transaction, or whatever has their `query`. */
export interface PostgresQueryable {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** A token may be any of 64 bits: more than a bigint of PostgreSQL holds. */
export function fenceTable(schema: string, table: string): string {
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.${table} (
      resource text COLLATE "C" PRIMARY KEY,
      token numeric(20) NOT NULL
    ) WITH (fillfactor = 50);`
}

/** The schema as one that has the fences, and nothing else. */
export function fencesOnly({ name, quoted }: Schema, table: string): Schema {
  return { name, quoted, objects: [table], tables: fenceTable(quoted, quotedName(table)), functions: new Map() }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what PostgreSQL would not take, or would cut. */
export function checkTable(table: unknown): asserts table is string {
  checkName('table', table)
  if (new TextEncoder().encode(table).length <= IDENTIFIER_BYTES_MAX) return
  throw new InvalidArgumentError(
    'table',
    `Expected \`table\` to have at most ${IDENTIFIER_BYTES_MAX} bytes, got ${show(table)}.`,
  )
}

/** The newest tokens of resources, in one table: raised where they are not stale. */
export class FenceTable {
  /** As SQL has it. */
  readonly quoted: string

  constructor(schema: Schema, table: string) {
    this.quoted = `${schema.quoted}.${quotedName(table)}`
  }

  async isThere(tx: PostgresQueryable): Promise<boolean> {
    const { rows } = await tx.query('SELECT to_regclass($1) IS NOT NULL AS there', [this.quoted])
    return (rows[0] as { readonly there: boolean }).there
  }

  /**
   * Raises, in the caller's transaction: until that ends nobody else can. A statement that is a transaction by itself began when
   * that began, and changes nothing: its lock would be gone before the caller's write.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN`
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` outside of a transaction
   */
  async check(tx: PostgresQueryable, fenced: Fenced): Promise<void> {
    // Without parameters it is one message, and only then do both times tell of the same moment. So the name comes as hex digits.
    const name = `convert_from(decode('${Buffer.from(fenced.resource).toString('hex')}', 'hex'), 'UTF8')`
    const raising = this.#raising({ name, token: String(fenced.token.value) }, 'now() <> statement_timestamp()')
    if ((await tx.query(raising)).rows.length > 0) return
    const { rows } = await tx.query(
      `SELECT now() = statement_timestamp() AS "isAlone", (SELECT token::text FROM ${this.quoted} WHERE resource = ${name}) AS newest`,
    )
    const [seen] = rows as { readonly isAlone: boolean; readonly newest: string | null }[]
    if (seen?.isAlone === true) {
      throw new InvalidArgumentError(
        'tx',
        'Expected `tx` to be in a transaction (after BEGIN), got a connection that commits each statement by itself.',
      )
    }
    throw stale(fenced, seen?.newest)
  }

  /**
   * Raises, in a transaction of its own. Who waits for another's transaction waits so long.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN`
   */
  async raise(client: ClientBase, fenced: Fenced, patienceMs: number): Promise<void> {
    const { resource, token } = fenced
    const text = this.#raising({ name: '$1::text', token: '$2' }, `set_config('lock_timeout', $3, true) IS NOT NULL`)
    const raised = await client.query(text, [resource, String(token.value), String(patienceMs)])
    if (raised.rows.length > 0) return
    const { rows } = await client.query<{ newest: string }>(
      `SELECT token::text AS newest FROM ${this.quoted} WHERE resource = $1`,
      [resource],
    )
    throw stale(fenced, rows[0]?.newest)
  }

  #raising({ name, token }: { readonly name: string; readonly token: string }, condition: string): string {
    return `
      INSERT INTO ${this.quoted} AS seen (resource, token) SELECT ${name}, ${token}::numeric WHERE ${condition}
        ON CONFLICT (resource) DO UPDATE SET token = EXCLUDED.token WHERE seen.token <= EXCLUDED.token
        RETURNING 1 AS raised`
  }
}

function stale(fenced: Fenced, newest: string | null | undefined): Error {
  return refusedAsStale('postgres', fenced, typeof newest === 'string' ? FencingToken.parse(newest) : undefined)
}

function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
