import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { IdempotencyHarness } from '../testing/index.ts'
import { createFaultProxy, idempotencyConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { runKey } from './keys.ts'
import { Links } from './links.fixture.ts'

const links = new Links()
let server: RedisServer
let admin: Redis

async function openBackend(): Promise<Backend> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  return links.keep(redisBackend({ url: proxy.redisUrl, commandTimeoutMs: 5_000 }), [proxy])
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
  restart: { kind: 'supported', run: () => server.restart() },
}

describe('Idempotency in Redis', () => {
  beforeAll(async () => {
    server = await startRedis({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = new Redis(server.url)
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await server.stop()
  })

  for (const { promise, name, run } of idempotencyConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
