import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedRedis } from '@holdfast/scripts/servers'
import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { LeaseHarness } from '../testing/index.ts'
import { createFaultProxy, leaseConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { leaseLeftovers } from './lease-leftovers.fixture.ts'
import { Links } from './links.fixture.ts'

// The server may be the user's: nothing outside of this prefix is touched.
const prefix = `hf-conformance-${randomUUID()}`
const links = new Links()
let server: SharedRedis
let admin: Redis

async function openBackend(): Promise<Backend> {
  const { hostname, port } = new URL(server.url)
  const proxy = await createFaultProxy({ target: { host: hostname, port: Number(port || 6379) } })
  const url = new URL(server.url)
  url.host = proxy.connectString
  return links.keep(redisBackend({ url: url.href, prefix, commandTimeoutMs: 5_000 }), [proxy])
}

async function deleteAll(): Promise<void> {
  for await (const keys of admin.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await admin.unlink(keys as string[])
  }
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
  leftovers: resource => leaseLeftovers(admin, prefix, resource),
  loseData: { kind: 'supported', run: deleteAll },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  requests: { kind: 'supported', run: backend => links.requests(backend) },
}

describe('Leases in Redis', () => {
  beforeAll(async () => {
    server = await sharedRedis()
    admin = new Redis(server.url)
  })

  afterAll(async () => {
    await deleteAll()
    admin.disconnect()
    await server.stop()
  })

  for (const { promise, name, run } of leaseConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
