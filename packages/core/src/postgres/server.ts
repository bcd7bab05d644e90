import type { ClientBase } from 'pg'
import { RefusedError, UnsupportedError } from '../errors.ts'
import { show } from '../names.ts'
import { isNotAllowed, withoutSecrets } from './errors.ts'
import type { Schema } from './schema.ts'
import { FUNCTIONS_REVISION, REVISION_PATTERN } from './schema.ts'

/** What is known of the server behind a connection. */
export interface ServerFacts {
  /** Whether what it acknowledged survives its crash, and the loss of its machine where another stands by. */
  readonly guarantee: 'advisory' | 'lease'
}

const VERSION_MIN = 130_000
// Any number will do, as long as all of us take the same.
const SCHEMA_LOCK = 7_201_518_493

const SETTINGS = `
  SELECT current_setting('server_version_num')::int AS version,
    current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AND NOT pg_is_in_recovery() AS durable,
    NOT EXISTS (SELECT 1 FROM pg_stat_replication) OR
      (current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') IN ('on', 'remote_apply')) AS alone`

// Whoever may not replace a function goes on with it as it is: under its name it keeps what that promises.
const EXISTING = `
  SELECT c.relname AS name, false AS old FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2)
  UNION ALL
  SELECT p.proname, bool_and(coalesce(substring(p.prosrc FROM '${REVISION_PATTERN}')::integer, 0) < ${FUNCTIONS_REVISION}
      AND pg_has_role(p.proowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE')
      AND current_setting('transaction_read_only') = 'off')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.proname = ANY ($2) GROUP BY p.proname`

/** What is to be done to a schema: what is not there at all, and what is as it was before. */
interface Lack {
  readonly missing: readonly string[]
  readonly old: readonly string[]
}

/**
 * Asks a server, right after connecting, what it is, makes the tables and functions that are not there, and replaces functions of an
 * earlier revision.
 *
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when it is older than PostgreSQL 13.
 * @throws {RefusedError} `HF_REFUSED` when there are no tables and the role may not make them.
 */
export async function prepare(client: ClientBase, schema: Schema): Promise<ServerFacts> {
  const { rows } = await client.query<{ version: number; durable: boolean; alone: boolean }>(SETTINGS)
  const { version = 0, durable = false, alone = false } = rows[0] ?? {}
  if (version < VERSION_MIN) {
    const major = Math.floor(version / 10_000)
    throw new UnsupportedError(`Holdfast needs PostgreSQL 13 or later, and the server is ${major}.`)
  }
  if (isLacking(await lackOf(client, schema))) await create(client, schema)
  return { guarantee: durable && alone ? 'lease' : 'advisory' }
}

async function lackOf(client: ClientBase, { name, objects }: Schema): Promise<Lack> {
  const { rows } = await client.query<{ name: string; old: boolean }>(EXISTING, [name, objects])
  const existing = new Set(rows.map(row => row.name))
  return {
    missing: objects.filter(object => !existing.has(object)),
    old: rows.filter(row => row.old).map(row => row.name),
  }
}

function isLacking({ missing, old }: Lack): boolean {
  return missing.length + old.length > 0
}

// IF NOT EXISTS alone does not keep two who create at once from failing: they take turns, and the second one looks again.
async function create(client: ClientBase, schema: Schema): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    const lack = await lackOf(client, schema)
    if (lack.missing.length > 0) {
      const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema.name])
      if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema.quoted}`)
    }
    if (isLacking(lack)) await client.query(definitionOf(schema, lack))
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw isNotAllowed(error) ? await notThere(client, schema, error) : error
  }
}

function definitionOf({ tables, functions }: Schema, { missing, old }: Lack): string {
  const lacking = [...missing, ...old]
  // Where all tables are there they are left alone: to look whether an index is there locks its table.
  const isTableMissing = missing.some(name => !functions.has(name))
  return (isTableMissing ? [tables] : []).concat(lacking.map(name => functions.get(name) ?? '')).join('\n')
}

async function notThere(client: ClientBase, schema: Schema, cause: unknown): Promise<RefusedError> {
  const { missing } = await lackOf(client, schema)
  const { rows } = await client.query<{ role: string }>('SELECT current_user AS role')
  return new RefusedError(
    `PostgreSQL has no ${missing.join(', ')} in the schema ${show(schema.name)}, and the role ${show(rows[0]?.role)} may not ` +
      'create them: connect once with a role that may.',
    { cause: withoutSecrets(cause) },
  )
}
