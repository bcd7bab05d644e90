import { randomBytes } from 'node:crypto'
import type { Backend } from '@holdfast/core'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { sharedPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ConfigAdmin } from './admin.ts'
import { SCOPE, checkout } from './fleet.fixture.ts'
import { ReportedInstance } from './fleet.fixture.ts'
import { openConfigAdmin } from './open-config-admin.ts'

const RACES = 20
const RACERS = 3

type OpenBackend = () => Backend

async function redis(): Promise<OpenBackend> {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  return () => redisBackend({ url: server.url })
}

async function zookeeper(): Promise<OpenBackend> {
  const server = await startZooKeeper()
  onTestFinished(() => server.stop())
  return () => zookeeperBackend({ connect: server.connectString })
}

// The server may be the user's: nothing outside of this schema is touched.
async function postgres(): Promise<OpenBackend> {
  const server = await sharedPostgres()
  const schema = `admin_${randomBytes(6).toString('hex')}`
  onTestFinished(async () => {
    const pool = new Pool({ connectionString: server.url })
    // A server of ours may end before the connection has.
    pool.on('error', () => {})
    await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    await pool.end()
    await server.stop()
  })
  return () => postgresBackend({ url: server.url, schema })
}

function opened(open: OpenBackend): Backend {
  const backend = open()
  onTestFinished(() => backend.close())
  return backend
}

function raced(racing: readonly ConfigAdmin[]): Promise<readonly PromiseSettledResult<unknown>[]> {
  return Promise.allSettled(
    racing.map((admin, at) => admin.publish([checkout.patch({ timeoutMs: 500 + at })], { expectedRevision: 0 })),
  )
}

describe.each([
  ['Redis', redis],
  ['ZooKeeper', zookeeper],
  ['PostgreSQL', postgres],
])('Publishing on %s', (_, start) => {
  it('keeps history, contents of any size and rollbacks, and rolls out in steps.', async () => {
    const backend = opened(await start())
    const admin = openConfigAdmin({ backend, ...SCOPE, namespaces: [checkout], author: 'ann', historyMax: 3 })
    onTestFinished(() => admin.close())
    for (let timeoutMs = 100; timeoutMs < 105; timeoutMs += 1) await admin.publish([checkout.patch({ timeoutMs })])
    expect((await admin.history()).map(({ number }) => number)).toEqual([5, 4, 3])
    const text = 'x'.repeat(400_000)
    await admin.publish([{ kind: 'replace', namespace: 'big', value: { text } }])
    expect((await openConfigAdmin({ backend, ...SCOPE }).release(-1)).content.namespaces['big']).toEqual({ text })
    await admin.rollback({ to: -2 })

    const instance = new ReportedInstance(backend, 'a', {})
    onTestFinished(() => instance.leave())
    await expect.poll(() => admin.instances()).toHaveLength(1)
    const deployment = await admin.publish([checkout.patch({ timeoutMs: 900 })], { steps: ['1', '100%'], bakeMs: 10 })
    instance.applies(deployment.release)
    expect(await deployment.settled).toMatchObject({ kind: 'settled', applied: ['a'] })
    expect(await admin.state()).toMatchObject({ head: { release: { number: 8 } }, candidate: undefined })
  })

  it('has one winner of several first publishes at once.', async () => {
    const open = await start()
    const backends = Array.from({ length: RACERS }, () => opened(open))
    for (let round = 0; round < RACES; round += 1) {
      const env = `round-${round}`
      const racing = backends.map(backend => openConfigAdmin({ backend, app: 'shop', env, namespaces: [checkout] }))
      const outcomes = await raced(racing)
      const lost = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
      expect(lost).toMatchObject(Array.from({ length: RACERS - 1 }, () => ({ code: 'HF_CONFLICT' })))
    }
  })
})
