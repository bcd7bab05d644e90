import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisSentinel } from '@holdfast/scripts/servers'
import { startRedisSentinel } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { LeaseHarness } from '../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { leaseLeftovers } from './lease-leftovers.fixture.ts'
import { Links } from './links.fixture.ts'

const links = new Links()
let watched: RedisSentinel
let admin: Redis

function sentinels(): { host: string; port: number }[] {
  return watched.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
}

// A switchover never happens here: the proxy stands before the master.
async function openBackend(): Promise<Backend> {
  const port = watched.servers[0]?.port ?? 0
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port } })
  const natMap = { [`127.0.0.1:${port}`]: { host: '127.0.0.1', port: proxy.port } }
  const client = new Redis({ sentinels: sentinels(), name: watched.name, natMap, lazyConnect: true })
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000 }), [proxy], client)
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
  loseData: { kind: 'supported', run: async () => void (await admin.flushall()) },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  requests: { kind: 'supported', run: backend => links.requests(backend) },
}

describe('Leases in Redis behind Sentinel', () => {
  beforeAll(async () => {
    // The stalls of the suite stop nobody but this process.
    watched = await startRedisSentinel({ downAfterMs: 10_000 })
    admin = new Redis({ sentinels: sentinels(), name: watched.name })
  })

  afterAll(async () => {
    admin.disconnect()
    await watched.stop()
  })

  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
