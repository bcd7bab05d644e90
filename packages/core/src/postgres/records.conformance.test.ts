import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, RecordHarness } from '../testing/index.ts'
import { createFaultProxy, recordConformance } from '../testing/index.ts'
import { postgresBackend } from './index.ts'
import { NoticeFilter } from './notice-filter.fixture.ts'
import { channelOf } from './notices.ts'

const SCHEMA = 'holdfast'
const TABLES = ['records', 'commits', 'ephemerals']

interface Link {
  readonly proxy: FaultProxy
  readonly filter: NoticeFilter
}

const links = new WeakMap<Backend, Link>()
let server: PostgresServer
let admin: Pool

async function openBackend(): Promise<Backend> {
  const filter = await NoticeFilter.open(server.port)
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: filter.port } })
  const backend = postgresBackend({
    url: `postgres://postgres@${proxy.connectString}/postgres`,
    commandTimeoutMs: 5_000,
  })
  links.set(backend, { proxy, filter })
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    void proxy.close()
    filter.close()
  })
  return backend
}

function linkOf(backend: Backend): Link {
  const link = links.get(backend)
  if (link === undefined) throw new Error('This backend is not of this harness.')
  return link
}

async function leftovers(directory: string): Promise<readonly string[]> {
  const { rows: ephemerals } = await admin.query<{ id: string }>(
    `SELECT e.id FROM ${SCHEMA}.ephemerals e JOIN ${SCHEMA}.directories d USING (history)
      WHERE d.name = $1 AND ends_at > clock_timestamp()`,
    [directory],
  )
  const { rows: listening } = await admin.query<{ query: string }>(
    `SELECT query FROM pg_stat_activity
      WHERE application_name = 'holdfast' AND strpos(query, ' "' || $1 || '"') > 0 AND strpos(query, 'UNLISTEN "' || $1 || '"') = 0`,
    [channelOf(SCHEMA, directory)],
  )
  return [...ephemerals.map(({ id }) => `the ephemeral record ${id}`), ...listening.map(({ query }) => query)]
}

async function loseData(directory: string): Promise<void> {
  await admin.query(`DELETE FROM ${SCHEMA}.directories WHERE name = $1`, [directory])
}

async function backUp(directory: string): Promise<() => Promise<void>> {
  const backup = `"backup-${randomUUID()}"`
  await admin.query(`CREATE SCHEMA ${backup}`)
  await admin.query(
    `CREATE TABLE ${backup}.directories AS SELECT * FROM ${SCHEMA}.directories WHERE name = '${directory}'`,
  )
  const ofIt = `history = (SELECT history FROM ${backup}.directories)`
  for (const table of TABLES) {
    await admin.query(`CREATE TABLE ${backup}.${table} AS SELECT * FROM ${SCHEMA}.${table} WHERE ${ofIt}`)
  }
  return async () => {
    const restore = ['directories', ...TABLES].map(
      table => `INSERT INTO ${SCHEMA}.${table} SELECT * FROM ${backup}.${table}`,
    )
    await admin.query(`DELETE FROM ${SCHEMA}.directories WHERE name = '${directory}'; ${restore.join(';')}`)
  }
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  const { proxy } = linkOf(backend)
  proxy.hold()
  return async () => proxy.heal()
}

async function muffle(backend: Backend): Promise<() => Promise<void>> {
  const { filter } = linkOf(backend)
  filter.isMuffled = true
  return async () => void (filter.isMuffled = false)
}

const harness: RecordHarness = {
  openBackend,
  directory: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: 2_000,
  slackMs: 10_000,
  leftovers,
  loseData: { kind: 'supported', run: loseData },
  backUp: { kind: 'supported', run: backUp },
  silence: { kind: 'supported', run: silence },
  cut: { kind: 'supported', run: async backend => linkOf(backend).proxy.dropConnections() },
  muffle: { kind: 'supported', run: muffle },
  restart: { kind: 'supported', run: () => server.restart() },
  endSession: { kind: 'unsupported', why: 'records are not tied to sessions' },
}

describe('Records in PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres({ args: ['-c', 'fsync=on'] })
    admin = new Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => {})
    // The suite restarts the server, and asks what is left before anybody has come back.
    await using first = postgresBackend({ url: server.url })
    await first.ready()
  })

  afterAll(async () => {
    await admin.end()
    await server.stop()
  })

  it('are kept as long as the server says, which is asked when it is connected to', async () => {
    await using backend = postgresBackend({ url: server.url })
    expect(backend.records.guarantee).toBe('advisory')
    await backend.ready()
    expect(backend.records.guarantee).toBe('lease')
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
