import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { startPostgres, startRedis, sharedZooKeeper } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Fenced } from '../fencing/guard.ts'
import { fencingHeader, fencingHeaders } from '../fencing/header.ts'
import { FencingToken } from '../fencing/token.ts'
import { memoryFence } from '../memory/index.ts'
import { postgresFence } from '../postgres/index.ts'
import { redisFence } from '../redis/index.ts'
import { zookeeperBackend, zookeeperFence } from '../zookeeper/index.ts'
import { Measured } from './measured.fixture.ts'

const resource = `stock:${randomUUID()}`
const newer: Fenced = { resource, token: new FencingToken(7n) }
const stale: Fenced = { resource, token: new FencingToken(5n) }

async function refusals(measured: Measured): Promise<Readonly<Record<string, unknown>>> {
  const series = await measured.series('fence.refused')
  return Object.fromEntries(series.map(({ attributes, value }) => [String(attributes['holdfast.guard']), value]))
}

/** What refuses must say so, or nothing was shown. */
async function expectStale(write: () => unknown): Promise<void> {
  await expect((async () => await write())()).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
}

describe('A stale write', () => {
  it('is counted where a guard in memory refuses it, and one that is not stale is not', async () => {
    const measured = new Measured()
    const fence = memoryFence()
    await fence.raise(newer)
    fence.run(newer, () => {})
    expect(await refusals(measured)).toEqual({})
    await expectStale(() => fence.run(stale, () => {}))
    await expectStale(() => fence.raise(stale))
    expect(await refusals(measured)).toEqual({ memory: 2 })
  })

  it('is counted by the resource only where that is mapped to a label', async () => {
    const measured = new Measured({ metricResource: name => name.replace(/:.*/, ':*') })
    const fence = memoryFence()
    await fence.raise(newer)
    await expectStale(() => fence.raise(stale))
    expect(await measured.series('fence.refused')).toEqual([
      { attributes: { 'holdfast.guard': 'memory', 'holdfast.lock.resource': 'stock:*' }, value: 1 },
    ])
  })

  it('is counted where a guard in Redis refuses it', async () => {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    const client = new Redis(server.url)
    onTestFinished(() => client.disconnect())
    const measured = new Measured()
    const fence = redisFence(client)
    await fence.raise(newer)
    await expectStale(() => fence.raise(stale))
    await expectStale(() => fence.apply({ ...stale, commands: [['SET', resource, '1']] }))
    expect(await refusals(measured)).toEqual({ redis: 2 })
  })

  it('is counted where a guard in ZooKeeper refuses it', async () => {
    const server = await sharedZooKeeper()
    onTestFinished(() => server.stop())
    const backend = zookeeperBackend({ connect: server.connectString, root: `/holdfast-otel-${randomUUID()}` })
    onTestFinished(() => backend.close())
    const measured = new Measured()
    const fence = zookeeperFence(backend)
    await fence.raise(newer)
    await expectStale(() => fence.raise(stale))
    await expectStale(() => fence.apply({ lease: stale, operations: [{ kind: 'create', path: '/x' }] }))
    expect(await refusals(measured)).toEqual({ zookeeper: 2 })
  })

  it('is counted where a guard in PostgreSQL refuses it', async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const pool = new Pool({ connectionString: server.url, max: 1 })
    pool.on('error', () => {})
    onTestFinished(() => pool.end())
    const measured = new Measured()
    const fence = postgresFence({ pool })
    await fence.raise(newer)
    await expectStale(() => fence.raise(stale))
    await pool.query('BEGIN')
    await expectStale(() => fence.check(pool, stale))
    await pool.query('ROLLBACK')
    expect(await refusals(measured)).toEqual({ postgres: 2 })
  })

  it('over HTTP is counted as that, and as one of the guard behind it', async () => {
    const middleware = fencingHeader({ fence: memoryFence(), resource })
    const server = createServer((request, response) => void middleware(request, response, () => response.end()))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const measured = new Measured()
    expect((await fetch(url, { headers: fencingHeaders(newer) })).status).toBe(200)
    expect((await fetch(url, { headers: fencingHeaders(stale) })).status).toBe(412)
    expect(await refusals(measured)).toEqual({ memory: 1, http: 1 })
  })
})
