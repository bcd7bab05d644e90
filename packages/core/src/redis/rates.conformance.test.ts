import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { clockAheadBy } from '../testing/conformance/ahead-clock.fixture.ts'
import type { FaultProxy, RateHarness } from '../testing/index.ts'
import { createFaultProxy, rateConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { rateKey } from './keys.ts'
import { Links } from './links.fixture.ts'

const links = new Links()
let server: RedisServer
let admin: Redis

async function proxied(): Promise<FaultProxy> {
  return await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
}

async function openWithUrl(): Promise<Backend> {
  const proxy = await proxied()
  return links.keep(redisBackend({ url: proxy.redisUrl, commandTimeoutMs: 5_000 }), [proxy])
}

// Its own settings would have it send again what was not answered.
async function openWithClient(): Promise<Backend> {
  const proxy = await proxied()
  const client = new Redis(proxy.redisUrl, { retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => {})
  return links.keep(redisBackend({ client, commandTimeoutMs: 5_000 }), [proxy], client)
}

async function stop(): Promise<() => Promise<void>> {
  await server.kill('SIGSTOP')
  return async () => await server.kill('SIGCONT')
}

async function setBack(key: string, ms: number): Promise<void> {
  const [since, level] = ((await admin.get(rateKey('hf', key))) ?? '').split(' ')
  await admin.set(rateKey('hf', key), `${Number(since) + ms * 1_000} ${level}`)
}

async function openForbidden(): Promise<Backend> {
  await admin.acl('SETUSER', 'stranger', 'reset', 'on', '>secret', '~hf:*', '+@all', '-set', '-get')
  const client = redisBackend({ url: `redis://stranger:secret@127.0.0.1:${server.port}` })
  return client
}

const harness: RateHarness = {
  openBackend: openWithUrl,
  key: () => randomUUID(),
  advance: ms => sleep(ms),
  slackMs: 10_000,
  leftovers: async key => ((await admin.exists(rateKey('hf', key))) === 1 ? [key] : []),
  openAhead: {
    kind: 'supported',
    run: async ms => redisBackend({ url: server.url, clock: clockAheadBy(ms) }),
  },
  setBack: { kind: 'supported', run: setBack },
  stop: { kind: 'supported', run: stop },
  silence: { kind: 'supported', run: backend => links.silence(backend) },
  cut: { kind: 'supported', run: (backend, underWay) => links.cutUnanswered(backend, underWay) },
  restart: { kind: 'supported', run: () => server.restart() },
  forgetScripts: { kind: 'supported', run: async () => void (await admin.script('FLUSH')) },
  openForbidden: { kind: 'supported', run: openForbidden },
}

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
  admin.on('error', () => {})
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

describe.each([
  ['a connection of ours', openWithUrl],
  ['a client that was given', openWithClient],
])('Rates in Redis, through %s', (_, openBackend) => {
  for (const { promise, name, run } of rateConformance({ ...harness, openBackend })) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
