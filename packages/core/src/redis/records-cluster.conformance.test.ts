import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, RecordHarness } from '../testing/index.ts'
import { createFaultProxy, recordConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { directoryKeys } from './keys.ts'

/** The links of one client to each node: what it asks on goes through one proxy, what it listens on through another. */
interface Links {
  readonly asking: readonly FaultProxy[]
  readonly listening: readonly FaultProxy[]
}

const links = new WeakMap<Backend, Links>()
let cluster: RedisCluster
let admin: Cluster

async function proxied(): Promise<readonly FaultProxy[]> {
  const targets = cluster.nodes.map(({ port }) => ({ target: { host: '127.0.0.1', port } }))
  return await Promise.all(targets.map(createFaultProxy))
}

async function openBackend(): Promise<Backend> {
  const { asking, listening } = { asking: await proxied(), listening: await proxied() }
  const natMap = Object.fromEntries(
    cluster.nodes.map(({ port }, index) => [
      `127.0.0.1:${port}`,
      { host: '127.0.0.1', port: asking[index]?.port ?? 0 },
    ]),
  )
  const client = new Cluster(
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { natMap, clusterRetryStrategy: () => 50 },
  )
  client.on('error', () => {})
  const nodes = client.nodes.bind(client)
  client.nodes = role =>
    nodes(role).map(node => {
      const port = listening[asking.findIndex(proxy => proxy.port === node.options.port)]?.port
      return Object.assign(Object.create(node) as typeof node, {
        duplicate: (override: object) => node.duplicate({ ...override, ...(port === undefined ? {} : { port }) }),
      })
    })
  const backend = redisBackend({ client })
  links.set(backend, { asking, listening })
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    client.disconnect()
    for (const proxy of both(backend)) void proxy.close()
  })
  return backend
}

function both(backend: Backend): readonly FaultProxy[] {
  const { asking = [], listening = [] } = links.get(backend) ?? {}
  return [...asking, ...listening]
}

async function cut(backend: Backend): Promise<void> {
  for (const proxy of both(backend)) proxy.dropConnections()
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  for (const proxy of both(backend)) proxy.hold()
  return async () => {
    for (const proxy of both(backend)) proxy.heal()
  }
}

// What it listens on carries nothing else, but for answers to pings.
async function muffle(backend: Backend): Promise<() => Promise<void>> {
  const { listening = [] } = links.get(backend) ?? {}
  for (const proxy of listening) proxy.blackHole({ direction: 'to-client' })
  return async () => {
    for (const proxy of listening) {
      proxy.heal()
      proxy.dropConnections()
    }
  }
}

function keysOf(directory: string): readonly string[] {
  const { records, commits, ephemerals, deadlines } = directoryKeys('hf', directory)
  return [records, commits, ephemerals, deadlines]
}

async function loseData(directory: string): Promise<void> {
  await admin.del(...keysOf(directory))
}

async function backUp(directory: string): Promise<() => Promise<void>> {
  const keys = keysOf(directory)
  const dumps = await Promise.all(keys.map(key => admin.dumpBuffer(key)))
  return async () => {
    await loseData(directory)
    await Promise.all(keys.map((key, index) => dumps[index] && admin.restore(key, 0, dumps[index])))
  }
}

async function leftovers(directory: string): Promise<readonly string[]> {
  const { channel, ephemerals, deadlines } = directoryKeys('hf', directory)
  const [fields, living, counts] = await Promise.all([
    admin.hkeys(ephemerals),
    admin.zrangebyscore(deadlines, Date.now(), '+inf'),
    Promise.all(admin.nodes('master').map(node => node.pubsub('NUMSUB', channel) as Promise<[string, number]>)),
  ])
  const ended = new Set(await admin.zrangebyscore(deadlines, '-inf', Date.now()))
  // Those whose time is over are swept away by the next one who joins or beats.
  const records = fields.filter(field => field.startsWith('r:') && !ended.has(field.slice(2)))
  const listeners = counts.flatMap(([, count]) => (count > 0 ? [`${count} listeners`] : []))
  return [...records, ...living, ...listeners]
}

const harness: RecordHarness = {
  openBackend,
  directory: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: 500,
  slackMs: 250,
  leftovers,
  loseData: { kind: 'supported', run: loseData },
  backUp: { kind: 'supported', run: backUp },
  silence: { kind: 'supported', run: silence },
  cut: { kind: 'supported', run: cut },
  muffle: { kind: 'supported', run: muffle },
  restart: { kind: 'supported', run: () => cluster.restart() },
  endSession: { kind: 'unsupported', why: 'a client has no session' },
}

describe('Records in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await cluster.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
