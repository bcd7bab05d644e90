/*
 * What a restricted user of Redis needs for idempotency, with the prefix `hf`. For one scope alone, write `hf:idem:{scope:*`.
 *
 *   ACL SETUSER caller on >secret resetchannels ~hf:idem:* ~hf:server
 *     +evalsha +eval +script|load             the steps
 *     +time +hget +hmget +hset +hdel +pexpire what they run
 *     +get +set                               which server it is: runs are held back after it was replaced
 *     +ping                                   ready()
 *
 *   In a Cluster also: +cluster|slots +cluster|info, and neither `hf:server` nor `get`, `set`, `script|load`
 *   +info +config|get    optional: without them nothing is held back after a restart.
 */
import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { BeginOutcome, BeginRequest, RunRef } from '../ports/idempotency.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'

const CALLER =
  '~hf:idem:* ~hf:server +evalsha +eval +script|load +time +hget +hmget +hset +hdel +pexpire +get +set +ping'.split(' ')
let server: RedisServer
let admin: Redis

beforeAll(async () => {
  server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

function opening(options: RedisBackendOptions): Backend {
  const backend = redisBackend({ maxClockSkewMs: 0, ...options })
  onTestFinished(() => backend.close())
  return backend
}

function requestOf({ idempotency }: Backend, key: string): BeginRequest {
  const owner = idempotency.newOwner()
  return { key, fingerprint: 'f', owner, leaseMs: 60_000, onLost: 'rerun', keepMs: 60_000 }
}

function begin(backend: Backend, key: string): Promise<BeginOutcome> {
  return backend.idempotency.begin(requestOf(backend, key))
}

async function run(backend: Backend, key: string): Promise<RunRef> {
  const request = requestOf(backend, key)
  const outcome = await backend.idempotency.begin(request)
  if (outcome.kind !== 'run') throw new Error(`The key is ${outcome.kind}.`)
  return { key, owner: request.owner, fence: outcome.fence }
}

const done = { result: Uint8Array.of(0, 255, 10), failed: false, keepMs: 60_000 }

/** Every step once, and each way in which a run can be met. */
async function everyStep(backend: Backend): Promise<void> {
  const { idempotency } = backend
  const first = await run(backend, randomUUID())
  expect(await idempotency.renew(first, 60_000)).toBe('kept')
  expect(await begin(backend, first.key)).toMatchObject({ kind: 'in-flight' })
  expect(await idempotency.release(first)).toBe('released')
  const second = await run(backend, first.key)
  expect(second.fence > first.fence).toBe(true)
  expect(await idempotency.complete(second, done)).toBe('kept')
  expect(await begin(backend, first.key)).toMatchObject({ kind: 'done', result: done.result, failed: false })
}

describe('Idempotency in Redis', () => {
  it.each([
    ['ioredis 6', () => new Redis(server.url, { keyPrefix: 'mine:' })],
    ['ioredis 6 with numbers as text', () => new Redis(server.url, { stringNumbers: true })],
    ['ioredis 5', () => new Redis5(server.url) as unknown as Redis],
  ])('works with a client of %s', async (_what, makeClient) => {
    const client = makeClient()
    onTestFinished(() => client.disconnect())
    expect(await everyStep(opening({ client }))).toBeUndefined()
  })

  it('needs no more rights than the test says', async () => {
    const user = `user-${randomUUID()}`
    await admin.acl('SETUSER', user, 'reset', 'on', '>secret', 'resetchannels', ...CALLER)
    await admin.script('FLUSH')
    const backend = opening({ url: `redis://${user}:secret@127.0.0.1:${server.port}` })
    await backend.ready()
    await everyStep(backend)
    await expect(backend.records.read({ directory: 'd' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })

  it('is one hash a key, which the server forgets by itself', async () => {
    const backend = opening({ url: server.url, prefix: 'shop' })
    const { key, fence } = await run(backend, `a{b}${randomUUID()}`)
    const [stored] = await admin.keys('shop:idem:*')
    expect(stored).toBe(`shop:idem:{${key.replaceAll('{', '%7B').replaceAll('}', '%7D')}}`)
    expect(await admin.hget(stored ?? '', 'f')).toBe(String(fence))
    const ttlMs = await admin.pttl(stored ?? '')
    expect(ttlMs > 100_000 && ttlMs <= 120_000).toBe(true)
  })

  it('on a server that is out of memory begins nothing, and ends and renews what was begun', async () => {
    const backend = opening({ url: server.url })
    const [kept, released] = [await run(backend, randomUUID()), await run(backend, randomUUID())]
    await admin.config('SET', 'maxmemory', '1mb')
    onTestFinished(async () => void (await admin.config('SET', 'maxmemory', '0')))
    await expect(begin(backend, randomUUID())).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(await backend.idempotency.renew(kept, 60_000)).toBe('kept')
    expect(await backend.idempotency.complete(kept, done)).toBe('kept')
    expect(await backend.idempotency.release(released)).toBe('released')
    expect(await begin(backend, kept.key)).toMatchObject({ kind: 'done', result: done.result })
  })

  it('has fences that grow beyond what it remembers, should the clock of the server have been set back', async () => {
    const backend = opening({ url: server.url })
    const first = await run(backend, randomUUID())
    await backend.idempotency.release(first)
    // As after a clock that was years ahead.
    const ahead = first.fence + 10n ** 14n
    await admin.hset(`hf:idem:{${first.key}}`, 'f', String(ahead))
    expect((await run(backend, first.key)).fence).toBe(ahead + 1n)
  })
})
