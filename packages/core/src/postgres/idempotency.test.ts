import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { RunRef } from '../ports/idempotency.ts'
import { postgresBackend, postgresGrants } from './index.ts'

let server: PostgresServer
let admin: Pool

beforeAll(async () => {
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url, max: 1 })
  admin.on('error', () => {})
  await using owner = postgresBackend({ url: server.url })
  await owner.ready()
  await admin.query('CREATE ROLE caller LOGIN')
  for (const statement of postgresGrants({ callers: ['caller'] })) await admin.query(statement)
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

function opened(role = 'postgres'): Backend {
  const backend = postgresBackend({ url: `postgres://${role}@127.0.0.1:${server.port}/postgres` })
  onTestFinished(() => backend.close())
  return backend
}

async function run({ idempotency }: Backend, key: string, keepMs = 60_000): Promise<RunRef> {
  const owner = idempotency.newOwner()
  const request = { key, fingerprint: 'f', owner, leaseMs: 60_000, onLost: 'rerun', keepMs } as const
  const outcome = await idempotency.begin(request)
  if (outcome.kind !== 'run') throw new Error(`The key is ${outcome.kind}.`)
  return { key, owner, fence: outcome.fence }
}

const done = { result: Uint8Array.of(0, 255, 10), failed: false, keepMs: 1_000 }

describe('Idempotency in PostgreSQL', () => {
  it('needs no more rights than those of a caller, who may do nothing else', async () => {
    const backend = opened('caller')
    const { idempotency } = backend
    const first = await run(backend, 'rights')
    expect(await idempotency.renew(first, 60_000)).toBe('kept')
    expect(await idempotency.release(first)).toBe('released')
    const second = await run(backend, 'rights')
    expect(await idempotency.complete(second, done)).toBe('kept')
    await expect(backend.records.read({ directory: 'd' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })

  it('removes rows whose time is over while others begin', async () => {
    const backend = opened()
    for (let index = 0; index < 8; index += 1) {
      await backend.idempotency.complete(await run(backend, `short-${index}`), done)
    }
    await admin.query(`UPDATE holdfast.idempotency_runs SET ends_at = clock_timestamp() WHERE key LIKE 'short-%'`)
    await run(backend, 'long-1')
    await run(backend, 'long-2')
    const { rows } = await admin.query<{ key: string }>(
      `SELECT key FROM holdfast.idempotency_runs WHERE key LIKE 'short-%' OR key LIKE 'long-%' ORDER BY key`,
    )
    expect(rows.map(({ key }) => key)).toEqual(['long-1', 'long-2'])
  })

  it('has fences that grow beyond what it remembers, should the clock of the server have been set back', async () => {
    const backend = opened()
    const first = await run(backend, 'ahead')
    await backend.idempotency.release(first)
    const ahead = first.fence + 10n ** 14n
    await admin.query('UPDATE holdfast.idempotency_runs SET fence = $1 WHERE key = $2', [String(ahead), 'ahead'])
    expect((await run(backend, 'ahead')).fence).toBe(ahead + 1n)
  })

  it('works in a pool whose transactions are serializable', async () => {
    const options = '-c default_transaction_isolation=serializable'
    const pool = new Pool({ connectionString: server.url, max: 10, options })
    // The server may end before the last connection has.
    pool.on('error', () => {})
    const backend = postgresBackend({ pool })
    onTestFinished(async () => {
      await backend.close()
      await pool.end()
    })
    const begins = Array.from({ length: 10 }, () => run(backend, 'serializable').catch(() => 'refused'))
    const outcomes = await Promise.all(begins)
    expect(outcomes.filter(outcome => outcome !== 'refused')).toHaveLength(1)
  })
})
