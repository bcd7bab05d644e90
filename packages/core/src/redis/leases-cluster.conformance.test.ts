import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import type { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { LeaseHarness } from '../testing/index.ts'
import { leaseConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { leaseLeftovers } from './lease-leftovers.fixture.ts'
import { Links, clusterClient, proxiesTo } from './links.fixture.ts'

const links = new Links()
let cluster: RedisCluster
let admin: Cluster

async function openBackend(): Promise<Backend> {
  const proxies = await proxiesTo(cluster.nodes)
  const client = clusterClient(cluster.nodes, { through: proxies, lazyConnect: true })
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000 }), proxies, client)
}

async function loseData(): Promise<void> {
  await Promise.all(admin.nodes('master').map(node => node.flushall()))
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
  leftovers: resource => leaseLeftovers(admin, 'hf', resource),
  loseData: { kind: 'supported', run: loseData },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  requests: { kind: 'supported', run: backend => links.requests(backend) },
}

describe('Leases in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster()
    admin = clusterClient(cluster.nodes)
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
