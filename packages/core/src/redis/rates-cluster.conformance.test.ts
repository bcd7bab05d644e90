import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { clockAheadBy } from '../testing/conformance/ahead-clock.fixture.ts'
import type { FaultProxy, RateHarness } from '../testing/index.ts'
import { createFaultProxy, rateConformance } from '../testing/index.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'
import { rateKey } from './keys.ts'

const QUOTA = { limit: 1, periodMs: 3_600_000, burst: 5 }
const proxies = new WeakMap<Backend, readonly FaultProxy[]>()
let cluster: RedisCluster
let admin: Cluster

function clientOf(links: readonly FaultProxy[] = [], login: { username?: string; password?: string } = {}): Cluster {
  const natMap = Object.fromEntries(
    cluster.nodes.map(({ port }, at) => [`127.0.0.1:${port}`, { host: '127.0.0.1', port: links[at]?.port ?? port }]),
  )
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = new Cluster(nodes, { natMap, clusterRetryStrategy: () => 50, redisOptions: login })
  return client.on('error', () => {})
}

function backendOn(client: Cluster, options: Partial<RedisBackendOptions> = {}): Backend {
  const backend = redisBackend({ client, commandTimeoutMs: 1_000, ...options })
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    client.disconnect()
    for (const proxy of proxies.get(backend) ?? []) void proxy.close()
  })
  return backend
}

async function openBackend(): Promise<Backend> {
  const links = await Promise.all(
    cluster.nodes.map(({ port }) => createFaultProxy({ target: { host: '127.0.0.1', port } })),
  )
  const backend = backendOn(clientOf(links))
  proxies.set(backend, links)
  return backend
}

function proxiesOf(backend: Backend): readonly FaultProxy[] {
  return proxies.get(backend) ?? []
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  for (const proxy of proxiesOf(backend)) proxy.hold()
  return async () => {
    for (const proxy of proxiesOf(backend)) proxy.heal()
  }
}

async function cut(backend: Backend, underWay: () => Promise<unknown>): Promise<void> {
  for (const proxy of proxiesOf(backend)) proxy.blackHole()
  await underWay()
  await sleep(100)
  for (const proxy of proxiesOf(backend)) {
    proxy.heal()
    proxy.dropConnections()
  }
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
  return backendOn(clientOf([], { username: 'stranger', password: 'secret' }))
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
  silence: { kind: 'supported', run: silence },
  cut: { kind: 'supported', run: cut },
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
    expect(proxiesOf(backend).map(({ requests }) => requests)).toEqual([0, 0, 0])
    await backend.close()
  })

  for (const { promise, name, run } of rateConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
