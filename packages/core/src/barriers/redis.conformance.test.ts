import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedRedis } from '@holdfast/scripts/servers'
import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { directoryKeys } from '../redis/keys.ts'
import { redisBackend } from '../redis/index.ts'
import type { BarrierHarness, FaultProxy } from '../testing/index.ts'
import { barrierConformance, createFaultProxy } from '../testing/index.ts'
import { barriersOf } from './barriers-of.ts'

const PREFIX = `test-${randomUUID().slice(0, 8)}`
const proxies = new WeakMap<Backend, FaultProxy>()
let server: SharedRedis
let admin: Redis

async function openBackend(): Promise<Backend> {
  const { hostname, port, pathname } = new URL(server.url)
  const proxy = await createFaultProxy({ target: { host: hostname, port: Number(port || 6379) } })
  const backend = redisBackend({ url: `${proxy.redisUrl}${pathname}`, prefix: PREFIX, commandTimeoutMs: 5_000 })
  proxies.set(backend, proxy)
  backend.health.subscribe(health => void (health.kind === 'closed' && proxy.close()))
  return backend
}

function proxyOf(backend: Backend): FaultProxy {
  const proxy = proxies.get(backend)
  if (proxy === undefined) throw new Error('It is not one of ours.')
  return proxy
}

async function leftovers(barrier: string): Promise<readonly string[]> {
  const left: string[] = []
  for (const recipe of ['barrier', 'double-barrier']) {
    const { channel, deadlines } = directoryKeys(PREFIX, `${recipe}:${barrier}`)
    const [living, [, listeners]] = await Promise.all([
      admin.zrangebyscore(deadlines, Date.now(), '+inf'),
      admin.pubsub('NUMSUB', channel) as Promise<[string, number]>,
    ])
    left.push(...living, ...(listeners > 0 ? [`${listeners} listeners`] : []))
  }
  return left
}

const harness: BarrierHarness = {
  openBackend,
  barriersOf,
  barrier: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: 3_000,
  leftovers,
  silence: {
    kind: 'supported',
    run: async backend => {
      proxyOf(backend).hold()
      return async () => proxyOf(backend).heal()
    },
  },
  cut: { kind: 'supported', run: async backend => proxyOf(backend).dropConnections() },
}

describe('Barriers of records, in Redis', () => {
  beforeAll(async () => {
    server = await sharedRedis()
    admin = new Redis(server.url)
  })

  afterAll(async () => {
    // The server may be the user's.
    const keys = await admin.keys(`${PREFIX}*`)
    if (keys.length > 0) await admin.del(...keys)
    admin.disconnect()
    await server.stop()
  })

  for (const { promise, name, run } of barrierConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
