import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedPostgres } from '@holdfast/scripts/servers'
import { sharedPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { postgresBackend } from '../postgres/index.ts'
import type { BarrierHarness, FaultProxy } from '../testing/index.ts'
import { barrierConformance, createFaultProxy } from '../testing/index.ts'
import { barriersOf } from './barriers-of.ts'

const SCHEMA = `test-${randomUUID().slice(0, 8)}`
const proxies = new WeakMap<Backend, FaultProxy>()
let server: SharedPostgres
let admin: Pool

async function openBackend(): Promise<Backend> {
  const url = new URL(server.url)
  const proxy = await createFaultProxy({ target: { host: url.hostname, port: Number(url.port || 5432) } })
  url.host = proxy.connectString
  const backend = postgresBackend({ url: url.href, schema: SCHEMA, commandTimeoutMs: 5_000 })
  proxies.set(backend, proxy)
  backend.health.subscribe(health => void (health.kind === 'closed' && proxy.close()))
  return backend
}

function proxyOf(backend: Backend): FaultProxy {
  const proxy = proxies.get(backend)
  if (proxy === undefined) throw new Error('It is not one of ours.')
  return proxy
}

async function leftovers(barrier: string): Promise<readonly string[]> {
  const { rows } = await admin.query<{ id: string }>(
    `SELECT e.id FROM "${SCHEMA}".ephemerals e JOIN "${SCHEMA}".directories d USING (history)
      WHERE d.name = ANY ($1) AND ends_at > clock_timestamp()`,
    [[`barrier:${barrier}`, `double-barrier:${barrier}`]],
  )
  return rows.map(({ id }) => id)
}

const harness: BarrierHarness = {
  openBackend,
  barriersOf,
  barrier: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: 3_000,
  leftovers,
  silence: {
    kind: 'supported',
    run: async backend => {
      proxyOf(backend).hold()
      return async () => proxyOf(backend).heal()
    },
  },
  cut: { kind: 'supported', run: async backend => proxyOf(backend).dropConnections() },
}

describe('Barriers of records, in PostgreSQL', () => {
  beforeAll(async () => {
    server = await sharedPostgres()
    admin = new Pool({ connectionString: server.url, max: 1 })
    admin.on('error', () => {})
    await using first = postgresBackend({ url: server.url, schema: SCHEMA })
    await first.records.read({ directory: 'none' })
  })

  afterAll(async () => {
    // The server may be the user's.
    await admin.query(`DROP SCHEMA IF EXISTS "${SCHEMA}" CASCADE`)
    await admin.end()
    await server.stop()
  })

  for (const { promise, name, run } of barrierConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
