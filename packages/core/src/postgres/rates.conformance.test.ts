import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { clockAheadBy } from '../testing/conformance/ahead-clock.fixture.ts'
import type { FaultProxy, RateHarness } from '../testing/index.ts'
import { createFaultProxy, rateConformance } from '../testing/index.ts'
import { postgresBackend } from './index.ts'

const proxies = new WeakMap<Backend, FaultProxy>()
let server: PostgresServer
let admin: Pool

async function openBackend(): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  const backend = postgresBackend({
    url: `postgres://postgres@${proxy.connectString}/postgres`,
    commandTimeoutMs: 5_000,
  })
  proxies.set(backend, proxy)
  backend.health.subscribe(health => {
    if (health.kind === 'closed') void proxy.close()
  })
  return backend
}

function proxyOf(backend: Backend): FaultProxy {
  const proxy = proxies.get(backend)
  if (proxy === undefined) throw new Error('This backend is not of this harness.')
  return proxy
}

async function leftovers(key: string): Promise<readonly string[]> {
  const { rows } = await admin.query<{ key: string }>('SELECT key FROM holdfast.rates WHERE key = $1', [key])
  return rows.map(row => row.key)
}

async function setBack(key: string, ms: number): Promise<void> {
  await admin.query(`UPDATE holdfast.rates SET since = since + $2 * interval '1 ms' WHERE key = $1`, [key, ms])
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  proxyOf(backend).hold()
  return async () => proxyOf(backend).heal()
}

async function cut(backend: Backend, underWay: () => Promise<unknown>): Promise<void> {
  const proxy = proxyOf(backend)
  proxy.blackHole()
  await underWay()
  await sleep(100)
  proxy.heal()
  proxy.dropConnections()
}

// It lets nobody in any more; those who are in go on.
async function stop(): Promise<() => Promise<void>> {
  await server.kill('SIGSTOP')
  return async () => await server.kill('SIGCONT')
}

async function openForbidden(): Promise<Backend> {
  await admin.query(`
    DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT USAGE ON SCHEMA holdfast TO stranger`)
  return postgresBackend({ url: `postgres://stranger@127.0.0.1:${server.port}/postgres` })
}

const harness: RateHarness = {
  openBackend,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  slackMs: 10_000,
  leftovers,
  openAhead: { kind: 'supported', run: async ms => postgresBackend({ url: server.url, clock: clockAheadBy(ms) }) },
  setBack: { kind: 'supported', run: setBack },
  stop: { kind: 'supported', run: stop },
  silence: { kind: 'supported', run: silence },
  cut: { kind: 'supported', run: cut },
  restart: { kind: 'supported', run: () => server.restart() },
  forgetScripts: { kind: 'unsupported', why: 'its functions are kept' },
  openForbidden: { kind: 'supported', run: openForbidden },
}

describe('Rates in PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres()
    admin = new Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => {})
    await using first = postgresBackend({ url: server.url })
    await first.ready()
  })

  afterAll(async () => {
    await admin.end()
    await server.stop()
  })

  for (const { promise, name, run } of rateConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
