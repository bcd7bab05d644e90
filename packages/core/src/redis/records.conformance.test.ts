import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { FaultProxy, RecordHarness } from '../testing/index.ts'
import { createFaultProxy, recordConformance } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { directoryKeys } from './keys.ts'

/** The links of one client: what it asks on goes through one proxy, what it listens on through another. */
interface Links {
  readonly asking: FaultProxy
  readonly listening: FaultProxy
}

const links = new WeakMap<Backend, Links>()
let server: RedisServer
let admin: Redis

async function proxied(): Promise<FaultProxy> {
  return await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
}

async function openBackend(): Promise<Backend> {
  const { asking, listening } = { asking: await proxied(), listening: await proxied() }
  const client = new Redis(asking.redisUrl, { retryStrategy: () => 20 })
  client.on('error', () => {})
  const duplicate = client.duplicate.bind(client)
  client.duplicate = override => duplicate({ ...override, port: listening.port })
  const backend = redisBackend({ client })
  links.set(backend, { asking, listening })
  backend.health.subscribe(health => {
    if (health.kind !== 'closed') return
    client.disconnect()
    void asking.close()
    void listening.close()
  })
  return backend
}

function both(backend: Backend): readonly FaultProxy[] {
  return Object.values(links.get(backend) ?? {}) as readonly FaultProxy[]
}

async function cut(backend: Backend): Promise<void> {
  for (const proxy of both(backend)) proxy.dropConnections()
}

async function silence(backend: Backend): Promise<() => Promise<void>> {
  for (const proxy of both(backend)) proxy.hold()
  return async () => {
    for (const proxy of both(backend)) proxy.heal()
  }
}

// What it listens on carries nothing else, but for answers to pings.
async function muffle(backend: Backend): Promise<() => Promise<void>> {
  const listening = links.get(backend)?.listening
  listening?.blackHole({ direction: 'to-client' })
  return async () => {
    listening?.heal()
    listening?.dropConnections()
  }
}

function keysOf(directory: string): readonly string[] {
  const { records, commits, ephemerals, deadlines } = directoryKeys('hf', directory)
  return [records, commits, ephemerals, deadlines]
}

async function loseData(directory: string): Promise<void> {
  await admin.del(...keysOf(directory))
}

async function backUp(directory: string): Promise<() => Promise<void>> {
  const keys = keysOf(directory)
  const dumps = await Promise.all(keys.map(key => admin.dumpBuffer(key)))
  return async () => {
    await loseData(directory)
    await Promise.all(keys.map((key, index) => dumps[index] && admin.restore(key, 0, dumps[index])))
  }
}

async function leftovers(directory: string): Promise<readonly string[]> {
  const { channel, ephemerals, deadlines } = directoryKeys('hf', directory)
  const [fields, living, [, listeners]] = await Promise.all([
    admin.hkeys(ephemerals),
    admin.zrangebyscore(deadlines, Date.now(), '+inf'),
    admin.pubsub('NUMSUB', channel) as Promise<[string, number]>,
  ])
  const ended = new Set(await admin.zrangebyscore(deadlines, '-inf', Date.now()))
  // Those whose time is over are swept away by the next one who joins or beats.
  const records = fields.filter(field => field.startsWith('r:') && !ended.has(field.slice(2)))
  return [...records, ...living, ...(listeners > 0 ? [`${listeners} listeners`] : [])]
}

const harness: RecordHarness = {
  openBackend,
  directory: () => randomUUID(),
  advance: ms => sleep(ms),
  ttlMs: 500,
  slackMs: 250,
  leftovers,
  loseData: { kind: 'supported', run: loseData },
  backUp: { kind: 'supported', run: backUp },
  silence: { kind: 'supported', run: silence },
  cut: { kind: 'supported', run: cut },
  muffle: { kind: 'supported', run: muffle },
  restart: { kind: 'supported', run: () => server.restart() },
  endSession: { kind: 'unsupported', why: 'a client has no session' },
}

describe('Records in Redis', () => {
  beforeAll(async () => {
    server = await startRedis({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
    admin = new Redis(server.url)
    admin.on('error', () => {})
  })

  afterAll(async () => {
    admin.disconnect()
    await server.stop()
  })

  for (const { promise, name, run } of recordConformance(harness)) {
    it(`${promise}: ${name}`, { timeout: 150_000 }, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
