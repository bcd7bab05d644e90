import type { ClientBase } from 'pg'
import { RefusedError, UnsupportedError } from '../errors.ts'
import { show } from '../names.ts'
import { isNotAllowed, withoutSecrets } from './errors.ts'
import type { Schema } from './schema.ts'

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

const EXISTING = `
  SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2)
  UNION ALL
  SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.proname = ANY ($2)`

/**
 * Asks a server, right after connecting, what it is, and makes the tables that are not there.
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
  if ((await missingOf(client, schema)).length > 0) await create(client, schema)
  return { guarantee: durable && alone ? 'lease' : 'advisory' }
}

async function missingOf(client: ClientBase, { name, objects }: Schema): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(EXISTING, [name, objects])
  const existing = new Set(rows.map(row => row.name))
  return objects.filter(object => !existing.has(object))
}

// IF NOT EXISTS alone does not keep two who create at once from failing: they take turns, and the second one looks again.
async function create(client: ClientBase, schema: Schema): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    if ((await missingOf(client, schema)).length > 0) {
      const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema.name])
      if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema.quoted}`)
      await client.query(schema.definition)
    }
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw isNotAllowed(error) ? await notThere(client, schema, error) : error
  }
}

async function notThere(client: ClientBase, schema: Schema, cause: unknown): Promise<RefusedError> {
  const missing = await missingOf(client, schema)
  const { rows } = await client.query<{ role: string }>('SELECT current_user AS role')
  return new RefusedError(
    `PostgreSQL has no ${missing.join(', ')} in the schema ${show(schema.name)}, and the role ${show(rows[0]?.role)} may not ` +
      'create them: connect once with a role that may.',
    { cause: withoutSecrets(cause) },
  )
}
