import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, LeaseHarness } from '../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../testing/index.ts'
import { postgresBackend } from './index.ts'

const links = new WeakMap<Backend, FaultProxy>()
let server: PostgresServer
let admin: Pool

async function openBackend(): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'postgres' })
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

async function leftovers(resource: string): Promise<readonly string[]> {
  const { rows } = await admin.query<{ left: string }>(
    `SELECT 'held by ' || holder AS left FROM holdfast.leases WHERE resource = $1 AND holder IS NOT NULL
      UNION ALL SELECT 'queued' FROM holdfast.leases WHERE resource = $1 AND is_queued
      UNION ALL SELECT 'waits ' || request FROM holdfast.lease_waiters WHERE resource = $1
      UNION ALL SELECT 'held beside others by ' || request FROM holdfast.shared_lease_holders WHERE resource = $1
      UNION ALL SELECT 'waits as one of many ' || request FROM holdfast.shared_lease_waiters WHERE resource = $1`,
    [resource],
  )
  return rows.map(({ left }) => left)
}

async function loseData(): Promise<void> {
  await admin.query('DELETE FROM holdfast.leases; DELETE FROM holdfast.shared_leases')
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  const proxy = links.get(backend)
  proxy?.hold()
  return async () => proxy?.heal()
}

const harness: LeaseHarness = {
  openBackend,
  resource: () => randomUUID(),
  advance: ms => sleep(ms),
  stall: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  ttlMs: 1_000,
  slackMs: 10_000,
  ordering: 'fifo',
  modes: 'all',
  slots: true,
  leftovers,
  loseData: { kind: 'supported', run: loseData },
  silence: { kind: 'supported', run: silence },
  requests: { kind: 'supported', run: backend => links.get(backend)?.requests ?? 0 },
}

describe('Leases in PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres({ args: ['-c', 'fsync=on'] })
    admin = new Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => {})
    await using owner = postgresBackend({ url: server.url })
    await owner.ready()
  })

  afterAll(async () => {
    await admin.end()
    await server.stop()
  })

  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
