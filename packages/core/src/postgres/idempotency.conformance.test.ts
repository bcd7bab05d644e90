import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultDirection, FaultProxy, IdempotencyHarness } from '../testing/index.ts'
import { createFaultProxy, idempotencyConformance } from '../testing/index.ts'
import { postgresBackend } from './index.ts'

const links = new WeakMap<Backend, FaultProxy>()
let server: PostgresServer
let admin: Pool

async function openBackend(): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  const backend = postgresBackend({
    url: `postgres://postgres@${proxy.connectString}/postgres`,
    commandTimeoutMs: 5_000,
  })
  links.set(backend, proxy)
  backend.health.subscribe(health => {
    if (health.kind === 'closed') void proxy.close()
  })
  return backend
}

async function silence(backend: Backend, options?: FaultDirection): Promise<() => Promise<void>> {
  const proxy = links.get(backend)
  proxy?.hold(options)
  return async () => proxy?.heal()
}

async function leftovers(key: string): Promise<readonly string[]> {
  const { rows } = await admin.query<{ state: string }>('SELECT state FROM holdfast.idempotency_runs WHERE key = $1', [
    key,
  ])
  return rows.map(({ state }) => state)
}

async function loseData(key: string): Promise<void> {
  await admin.query('DELETE FROM holdfast.idempotency_runs WHERE key = $1', [key])
}

const harness: IdempotencyHarness = {
  openBackend,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  leaseMs: 1_000,
  slackMs: 50,
  leftovers,
  loseData: { kind: 'supported', run: loseData },
  silence: { kind: 'supported', run: backend => silence(backend) },
  silenceAnswers: { kind: 'supported', run: backend => silence(backend, { direction: 'to-client' }) },
  cut: { kind: 'supported', run: async backend => links.get(backend)?.dropConnections() },
  restart: { kind: 'supported', run: () => server.restart() },
}

describe('Idempotency in PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres({ args: ['-c', 'fsync=on'] })
    admin = new Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => {})
  })

  afterAll(async () => {
    await admin.end()
    await server.stop()
  })

  for (const { promise, name, run } of idempotencyConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
