import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import type { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import type { RedisOptions } from 'ioredis5'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { StaleTokenError } from '../errors.ts'
import { FencingToken } from '../fencing/token.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import { kindOf } from '../ports/leases.ts'
import { createFaultProxy } from '../testing/index.ts'
import { redisBackend, redisFence } from './index.ts'

let server: RedisServer
let name: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  server = await startRedis({ appendonly: 'always' })
})

afterAll(async () => {
  await server.stop()
})

beforeEach(() => {
  name = randomUUID()
  opened = []
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

/** To our types it is a client of the newest version. */
function clientOf(options: RedisOptions = {}, port: number = server.port): Redis {
  const client = new Redis5({ host: '127.0.0.1', port, ...options })
  client.on('error', () => {})
  opened.push(() => client.disconnect())
  return client as unknown as Redis
}

function opening(client: Redis, commandTimeoutMs = 3_000): Backend {
  const backend = redisBackend({ client, commandTimeoutMs, maxClockSkewMs: 0 })
  opened.push(() => backend.close())
  return backend
}

/** Takes a lock in each mode and hands it to a waiter of the same backend. */
async function handsOver(backend: Backend): Promise<boolean> {
  for (const mode of [undefined, { kind: 'write' }, { kind: 'permit', limit: 1 }] as const) {
    const first = await acquireLease(backend, name, { ttlMs: 30_000 }, mode)
    const waiting = acquireLease(backend, name, { ttlMs: 30_000 }, mode)
    const kind = kindOf(mode)
    await expect.poll(async () => (await backend.leases.inspect(name, kind)).waiters.length).toBe(1)
    await first.release()
    const second = await waiting
    const held = (await backend.leases.inspect(name, kind)).holders.map(({ token }) => token.value)
    if (held.join() !== String(second.token.value) || second.token <= first.token) return false
    if ((await second.release()) !== 'released') return false
  }
  return true
}

describe('A client of ioredis 5', () => {
  it.each<readonly [string, RedisOptions]>([
    ['as it is by default', {}],
    ['that connects when it is used', { lazyConnect: true }],
    ['with its own pipelining', { enableAutoPipelining: true }],
    ['without an offline queue', { enableOfflineQueue: false }],
    ['with an own prefix of its keys', { keyPrefix: 'app:' }],
    ['that gets numbers as text', { stringNumbers: true }],
  ])(
    'hands locks over by message, %s',
    async (_what, options) => {
      const backend = opening(clientOf(options))
      expect(await handsOver(backend)).toBe(true)
      expect(backend.leases.guarantee).toBe('lease')
    },
    15_000,
  )

  it.each<readonly [string, RedisOptions]>([
    ['as it is by default', {}],
    ['that connects when it is used', { lazyConnect: true }],
    ['with its own pipelining', { enableAutoPipelining: true }],
    ['without an offline queue', { enableOfflineQueue: false }],
    ['with an own prefix of its keys', { keyPrefix: 'app:' }],
    ['that gets numbers as text', { stringNumbers: true }],
  ])('commits, reads, hears and joins, %s', async (_what, options) => {
    const { records } = opening(clientOf(options))
    const value = Uint8Array.of(0, 255, 128)
    const heard: (string | undefined)[] = []
    const isLive = new Promise<void>(resolve => {
      opened.push(records.listen(name, { live: resolve, down: () => {}, changed: id => heard.push(id) }).close)
    })
    await isLive
    const [commitId, owner] = [records.newId(), records.newId()]
    await records.commit({ directory: name, commitId, changes: [{ kind: 'put', id: 'a', value }] })
    await expect.poll(() => heard).toEqual([commitId])
    const joined = { directory: name, id: 'i', owner, value, ttlMs: undefined }
    await records.join(joined)
    const read = await records.read({ directory: name, ephemerals: true })
    if (read.kind !== 'present') throw new Error('Expected it to be present.')
    expect([...read.records.values()]).toEqual([{ id: 'a', value, version: commitId }])
    expect([...read.ephemerals.values()]).toEqual([{ id: 'i', value, owner }])
    expect(await records.read({ directory: name, ephemerals: true, unless: read.stamp })).toEqual({ kind: 'unchanged' })
    expect(await records.beat(joined)).toMatchObject({ kind: 'kept' })
    expect(await records.leave(joined)).toBe('left')
  })

  it('excludes one who holds through another version', async () => {
    const backend = redisBackend({ url: server.url, maxClockSkewMs: 0 })
    opened.push(() => backend.close())
    await acquireLease(backend, name, {})
    expect(await tryAcquireLease(opening(clientOf()), name, { waitMs: 0 })).toBeUndefined()
  })

  it('is used on its new connection when the old one broke, and cut in the middle of a reply', async () => {
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    opened.push(() => proxy.close())
    const backend = opening(clientOf({}, proxy.port))
    expect(await handsOver(backend)).toBe(true)
    proxy.dropConnections()
    expect(await handsOver(backend)).toBe(true)
    proxy.cutMidReply(1)
    expect(await handsOver(backend)).toBe(true)
  })

  it('rejects at the deadline over a silent link', async () => {
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    opened.push(() => proxy.close())
    const backend = opening(clientOf({}, proxy.port), 200)
    await backend.ready()
    proxy.hold()
    await expect(tryAcquireLease(backend, name, {})).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
  })

  it('that has ended is said to be closed', async () => {
    const client = clientOf()
    await client.quit()
    await expect.poll(() => client.status).toBe('end')
    await expect(acquireLease(opening(client), name, {})).rejects.toMatchObject({ code: 'HF_CLOSED' })
  })

  it('stays open when the backend is closed, and keeps no listener', async () => {
    const client = clientOf()
    await client.ping()
    const listeners = (): readonly unknown[] => client.eventNames().map(event => [event, client.listenerCount(event)])
    const before = listeners()
    const backend = opening(client)
    expect(await handsOver(backend)).toBe(true)
    await backend.close()
    expect([listeners(), await client.ping()]).toEqual([before, 'PONG'])
  })

  it('fences writes, and runs one that it sends again once', async () => {
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    opened.push(() => proxy.close())
    const fence = redisFence(clientOf({ keyPrefix: 'app:' }, proxy.port), { commandTimeoutMs: 30_000 })
    const incremented = (value: bigint): Promise<readonly unknown[]> =>
      fence.apply({ resource: name, token: new FencingToken(value), commands: [['INCR', name]] })
    expect(await incremented(2n)).toEqual([1])
    proxy.cutMidReply(0)
    expect(await incremented(2n)).toEqual([2])
    await expect(incremented(1n)).rejects.toBeInstanceOf(StaleTokenError)
    expect(await clientOf().get(`app:${name}`)).toBe('2')
  })
})
