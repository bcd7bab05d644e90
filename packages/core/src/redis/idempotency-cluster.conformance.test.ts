import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import type { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { IdempotencyHarness } from '../testing/index.ts'
import { idempotencyConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { runKey } from './keys.ts'
import { Links, clusterClient, proxiesTo } from './links.fixture.ts'

const links = new Links()
let cluster: RedisCluster
let admin: Cluster

async function openBackend(): Promise<Backend> {
  const proxies = await proxiesTo(cluster.nodes)
  const client = clusterClient(cluster.nodes, { through: proxies, clusterRetryStrategy: () => 50 })
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000 }), proxies, client)
}

const harness: IdempotencyHarness = {
  openBackend,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  leaseMs: 1_000,
  slackMs: 50,
  leftovers: async key => await admin.hkeys(runKey('hf', key)),
  loseData: { kind: 'supported', run: async key => void (await admin.del(runKey('hf', key))) },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  silenceAnswers: { kind: 'supported', run: backend => links.silence(backend, { direction: 'to-client' }) },
  cut: { kind: 'supported', run: backend => links.cut(backend) },
  restart: { kind: 'supported', run: () => cluster.restart() },
}

describe('Idempotency in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = clusterClient(cluster.nodes)
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
