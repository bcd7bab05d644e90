import { postgresBackend } from '@holdfast/core/postgres'
import { createLocks } from '@holdfast/lock'
import { startPostgres } from '@holdfast/scripts/servers'
import pg from 'pg'
import type { SingleSite } from './site.ts'

const SCHEMA = 'hf_faults'
const TTL_MS = 2_000
const CLAIM_MS = 500
const COMMAND_TIMEOUT_MS = 5_000
const TABLES = `
  CREATE TABLE ledger (resource text NOT NULL, token bigint NOT NULL, written serial);
  CREATE TABLE stock (resource text PRIMARY KEY, sold integer NOT NULL);
  CREATE TABLE naive (resource text PRIMARY KEY, owner text NOT NULL, ends_at timestamptz NOT NULL,
    token bigint NOT NULL);
  CREATE SEQUENCE naive_tokens`

/** A PostgreSQL of our own, which keeps what it acknowledged. */
export async function postgresSite(): Promise<SingleSite> {
  const server = await startPostgres({ args: ['-c', 'fsync=on'] })
  const pool = new pg.Pool({ connectionString: server.url, max: 2 })
  pool.on('error', () => {})
  await pool.query(TABLES)
  const observer = postgresBackend({ url: server.url, schema: SCHEMA })
  await observer.ready()
  const locks = createLocks({ backend: observer })
  return {
    kind: 'postgres',
    port: server.port,
    ttlMs: TTL_MS,
    leaseMs: TTL_MS,
    claimMs: CLAIM_MS,
    place: ({ lockPort = server.port, dataPort = server.port }) => ({
      kind: 'postgres',
      lockPort,
      dataPort,
      schema: SCHEMA,
      claimMs: CLAIM_MS,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
    }),
    leftovers: resource => leftovers(pool, resource),
    waiters: async resource => (await locks.inspect(resource)).waiters.length,
    lastWrite: async resource => {
      const text = 'SELECT token FROM ledger WHERE resource = $1 ORDER BY written DESC LIMIT 1'
      const { rows } = await pool.query<{ token: string }>(text, [resource])
      return rows[0] === undefined ? undefined : BigInt(rows[0].token)
    },
    wipe: async resource => {
      await pool.query(`DELETE FROM ${SCHEMA}.leases WHERE resource = $1`, [resource])
      await pool.query('DELETE FROM naive WHERE resource = $1', [resource])
    },
    restart: () => server.restart(),
    restartEmpty: () => Promise.reject(new Error('A PostgreSQL that lost its data has no tables of ours.')),
    [Symbol.asyncDispose]: async () => {
      await observer.close()
      await pool.end()
      await server.stop()
    },
  }
}

async function leftovers(pool: pg.Pool, resource: string): Promise<readonly string[]> {
  const text = `SELECT 'held by ' || holder AS left FROM ${SCHEMA}.leases WHERE resource = $1 AND holder IS NOT NULL
    UNION ALL SELECT 'waits ' || request FROM ${SCHEMA}.lease_waiters WHERE resource = $1
    UNION ALL SELECT 'naive ' || owner FROM naive WHERE resource = $1 AND ends_at > now()`
  const { rows } = await pool.query<{ left: string }>(text, [resource])
  return rows.map(({ left }) => left)
}
