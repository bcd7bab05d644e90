import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultDirection, FaultProxy, IdempotencyHarness } from '../testing/index.ts'
import { createFaultProxy, idempotencyConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { runKey } from './keys.ts'

/** The links of one client, one to each node. */
const links = new WeakMap<Backend, readonly FaultProxy[]>()
let cluster: RedisCluster
let admin: Cluster

async function openBackend(): Promise<Backend> {
  const targets = cluster.nodes.map(({ port }) => ({ target: { host: '127.0.0.1', port } }))
  const proxies = await Promise.all(targets.map(createFaultProxy))
  const natMap = Object.fromEntries(
    cluster.nodes.map(({ port }, index) => [
      `127.0.0.1:${port}`,
      { host: '127.0.0.1', port: proxies[index]?.port ?? 0 },
    ]),
  )
  const client = new Cluster(
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { natMap, clusterRetryStrategy: () => 50 },
  )
  client.on('error', () => {})
  const backend = redisBackend({ client })
  links.set(backend, proxies)
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    client.disconnect()
    for (const proxy of proxies) void proxy.close()
  })
  return backend
}

async function silence(backend: Backend, options?: FaultDirection): Promise<() => Promise<void>> {
  const proxies = links.get(backend) ?? []
  for (const proxy of proxies) proxy.hold(options)
  return async () => {
    for (const proxy of proxies) proxy.heal()
  }
}

async function cut(backend: Backend): Promise<void> {
  for (const proxy of links.get(backend) ?? []) proxy.dropConnections()
}

const harness: IdempotencyHarness = {
  openBackend,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  leaseMs: 500,
  slackMs: 50,
  leftovers: async key => await admin.hkeys(runKey('hf', key)),
  loseData: { kind: 'supported', run: async key => void (await admin.del(runKey('hf', key))) },
  silence: { kind: 'supported', run: backend => silence(backend) },
  silenceAnswers: { kind: 'supported', run: backend => silence(backend, { direction: 'to-client' }) },
  cut: { kind: 'supported', run: cut },
  restart: { kind: 'supported', run: () => cluster.restart() },
}

describe('Idempotency in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await cluster.stop()
  })

  for (const { promise, name, run } of idempotencyConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
