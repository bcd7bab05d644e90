import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import type { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { clockAheadBy } from '../testing/conformance/ahead-clock.fixture.ts'
import type { RateHarness } from '../testing/index.ts'
import { rateConformance } from '../testing/index.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'
import { rateKey } from './keys.ts'
import { Links, clusterClient, proxiesTo } from './links.fixture.ts'

const QUOTA = { limit: 1, periodMs: 3_600_000, burst: 5 }
const links = new Links()
let cluster: RedisCluster
let admin: Cluster

function clientOf(options: Parameters<typeof clusterClient>[1] = {}): Cluster {
  return clusterClient(cluster.nodes, { clusterRetryStrategy: () => 50, ...options })
}

function backendOn(client: Cluster, options: Partial<RedisBackendOptions> = {}): Backend {
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000, ...options }), [], client)
}

async function openBackend(): Promise<Backend> {
  const through = await proxiesTo(cluster.nodes)
  const client = clientOf({ through })
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000 }), through, client)
}

async function stop(): Promise<() => Promise<void>> {
  for (const node of cluster.nodes) await node.kill('SIGSTOP')
  return async () => {
    for (const node of cluster.nodes) await node.kill('SIGCONT')
  }
}

async function setBack(key: string, ms: number): Promise<void> {
  const [since, level] = ((await admin.get(rateKey('hf', key))) ?? '').split(' ')
  await admin.set(rateKey('hf', key), `${Number(since) + ms * 1_000} ${level}`)
}

async function openForbidden(): Promise<Backend> {
  const rights = ['reset', 'on', '>secret', '~hf:*', '+@all', '-set', '-get']
  for (const node of admin.nodes('master')) await node.acl('SETUSER', 'stranger', ...rights)
  return backendOn(clientOf({ redisOptions: { username: 'stranger', password: 'secret' } }))
}

async function forgetScripts(): Promise<void> {
  for (const node of admin.nodes('master')) await node.script('FLUSH')
}

const harness: RateHarness = {
  openBackend,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  slackMs: 10_000,
  leftovers: async key => ((await admin.exists(rateKey('hf', key))) === 1 ? [key] : []),
  openAhead: { kind: 'supported', run: async ms => backendOn(clientOf(), { clock: clockAheadBy(ms) }) },
  setBack: { kind: 'supported', run: setBack },
  stop: { kind: 'supported', run: stop },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  cut: { kind: 'supported', run: (backend, underWay) => links.cutUnanswered(backend, underWay) },
  restart: { kind: 'supported', run: () => cluster.restart() },
  forgetScripts: { kind: 'supported', run: forgetScripts },
  openForbidden: { kind: 'supported', run: openForbidden },
}

describe('Rates in Redis Cluster', () => {
  beforeAll(async () => {
    cluster = await startRedisCluster()
    admin = clientOf()
  })

  afterAll(async () => {
    admin.disconnect()
    await cluster.stop()
  })

  it('refuse keys that are apart, before anything is sent', async () => {
    const backend = await openBackend()
    const takes = ['a', 'b'].map(key => ({ key, quota: QUOTA, cost: 1 }))
    const error = await backend.rates.takeAll(takes).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'key' })
    expect(String(error)).toContain('to share a hash tag')
    expect(links.requests(backend)).toBe(0)
    await backend.close()
  })

  for (const { promise, name, run } of rateConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
