import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, LeaseHarness } from '../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { leaseLeftovers } from './lease-leftovers.fixture.ts'

/** The links of one client, one to each node. */
const links = new WeakMap<Backend, readonly FaultProxy[]>()
let cluster: RedisCluster
let admin: Cluster

async function openBackend(): Promise<Backend> {
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const proxies = await Promise.all(nodes.map(target => createFaultProxy({ target })))
  const natMap = Object.fromEntries(
    nodes.map(({ port }, index) => [`127.0.0.1:${port}`, { host: '127.0.0.1', port: proxies[index]?.port ?? 0 }]),
  )
  const client = new Cluster(nodes, { natMap, lazyConnect: true })
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

async function silence(backend: Backend): Promise<() => Promise<void>> {
  for (const proxy of links.get(backend) ?? []) proxy.hold()
  return async () => {
    for (const proxy of links.get(backend) ?? []) proxy.heal()
  }
}

async function loseData(): Promise<void> {
  await Promise.all(admin.nodes('master').map(node => node.flushall()))
}

const harness: LeaseHarness = {
  openBackend,
  resource: () => randomUUID(),
  advance: ms => sleep(ms),
  stall: ms => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  ttlMs: 500,
  slackMs: 10_000,
  ordering: 'fifo',
  modes: 'all',
  slots: true,
  leftovers: resource => leaseLeftovers(admin, 'hf', resource),
  loseData: { kind: 'supported', run: loseData },
  silence: { kind: 'supported', run: silence },
  requests: {
    kind: 'supported',
    run: backend => (links.get(backend) ?? []).reduce((sum, { requests }) => sum + requests, 0),
  },
}

describe('Leases in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster()
    admin = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await cluster.stop()
  })

  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
