/*
 * What a restricted user of Redis needs for rates, with the prefix `hf`. For some keys alone, write what they start with before `*`.
 *
 *   ACL SETUSER limiter on >secret resetchannels ~hf:rate:*
 *     +evalsha +eval            the steps
 *     +time +get +set +del      what they run; `get` also asks whether a silent link is still there
 *     +ping                     ready()
 *
 *   In a Cluster also: +cluster|slots +cluster|info
 *   +info +config|get    optional: which server it is.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { RateTake } from '../ports/rates.ts'
import type { FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'

const LIMITER = '~hf:rate:* +evalsha +eval +time +get +set +del +ping'.split(' ')
let server: RedisServer
let admin: Redis

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

function opening(options: RedisBackendOptions): Backend {
  const backend = redisBackend(options)
  onTestFinished(() => backend.close())
  return backend
}

async function proxied(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  onTestFinished(() => proxy.close())
  return proxy
}

function takeOf(take: Partial<RateTake> = {}): RateTake {
  return { key: randomUUID(), quota: { limit: 10, periodMs: 36_000_000, burst: 10 }, cost: 1, ...take }
}

describe('A key of rates in Redis', () => {
  it('expires once it is whole, and is gone when all was given back', async () => {
    const { rates } = opening({ url: server.url })
    const take = takeOf({ quota: { limit: 10, periodMs: 100_000, burst: 10 }, cost: 5 })
    await rates.take(take)
    const leftMs = await admin.pttl(`hf:rate:${take.key}`)
    expect(leftMs).toBeGreaterThan(0)
    expect(leftMs).toBeLessThanOrEqual(50_100)
    await rates.giveBack(take.key, take.quota, 5)
    expect(await admin.exists(`hf:rate:${take.key}`)).toBe(0)
  })

  it('that came from a server whose clock was ahead is set right by whoever is refused', async () => {
    const { rates } = opening({ url: server.url })
    const take = takeOf({ quota: { limit: 10, periodMs: 1_000, burst: 10 }, cost: 10 })
    const us = (Date.now() + 3_600_000) * 1_000
    await admin.set(`hf:rate:${take.key}`, `${us} 4`)
    const refused = { kind: 'refused', remaining: 6, retryAfterMs: 400, resetMs: 400 }
    expect(await rates.take(take)).toEqual(refused)
    const [since] = String(await admin.get(`hf:rate:${take.key}`)).split(' ')
    expect(Number(since)).toBeLessThan(us - 3_500_000_000)
    await sleep(410)
    expect((await rates.take(take)).kind).toBe('granted')
  })

  it('of another kind refuses its takes, and not those that share the call', async () => {
    const { rates } = opening({ url: server.url })
    const [wrong, text, right] = [takeOf(), takeOf(), takeOf()]
    await admin.hset(`hf:rate:${wrong.key}`, 'a', 'b')
    await admin.set(`hf:rate:${text.key}`, 'hello')
    const settled = await Promise.allSettled([wrong, text, right].map(take => rates.take(take)))
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
    for (const one of settled.slice(0, 2)) expect(one).toMatchObject({ reason: { code: 'HF_REFUSED' } })
  })
})

describe('Takes in Redis', () => {
  it('of one turn of the event loop are one request, by their patience; one alone is one as well', async () => {
    const proxy = await proxied()
    const { rates } = opening({ url: proxy.redisUrl })
    const same = takeOf()
    await Promise.all([rates.take(same), rates.take(same)])
    await rates.take(same)
    proxy.resetCounts()
    expect((await rates.take(same)).remaining).toBe(6)
    expect(proxy.requests).toBe(1)
    const takes = Array.from({ length: 40 }, () => rates.take(takeOf()))
    const shared = [rates.take(same, { timeoutMs: 30_000 }), rates.take(same, { timeoutMs: 30_000 })]
    await Promise.all(takes)
    expect((await Promise.all(shared)).map(({ remaining }) => remaining)).toEqual([5, 4])
    // 32, 8, and the two of another patience.
    expect(proxy.requests).toBe(4)
  })

  it('that are given up early leave the link, and a link that stays silent is made anew', async () => {
    const proxy = await proxied()
    const backend = opening({ url: proxy.redisUrl, commandTimeoutMs: 3_000 })
    await backend.rates.take(takeOf())
    proxy.delay(200)
    await expect(backend.rates.take(takeOf(), { timeoutMs: 20 })).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    await sleep(500)
    expect([proxy.accepted, backend.health.current.kind]).toEqual([1, 'ready'])
    proxy.heal()
    proxy.blackHole()
    await expect(backend.rates.take(takeOf(), { timeoutMs: 20 })).rejects.toThrow(/did not answer within 20 ms/)
    await expect.poll(() => backend.health.current.kind).toBe('suspended')
    proxy.heal()
    await expect.poll(() => proxy.accepted).toBeGreaterThan(1)
    await expect.poll(async () => (await backend.rates.take(takeOf()).catch(() => undefined))?.kind).toBe('granted')
  })

  it('go while grants are held back after a restart', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const backend = opening({ url: own.url, maxClockSkewMs: 60_000 })
    expect((await backend.rates.take(takeOf(), { timeoutMs: 60_000 })).kind).toBe('granted')
  })

  it('go through a client of ioredis 5', async () => {
    const client = new Redis5({ host: '127.0.0.1', port: server.port }) as unknown as Redis
    onTestFinished(() => client.disconnect())
    const { rates } = opening({ client })
    const take = takeOf()
    expect((await Promise.all([rates.take(take), rates.take(take)])).map(({ remaining }) => remaining)).toEqual([9, 8])
  })

  it('on a server that cannot answer just now are unavailable, in a sentence', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const backend = opening({ url: own.url })
    await backend.rates.take(takeOf())
    const replica = new Redis(own.url)
    onTestFinished(() => replica.disconnect())
    await replica.replicaof('127.0.0.1', 1)
    await expect(backend.rates.take(takeOf())).rejects.toThrow(/^Redis at 127\.0\.0\.1:\d+ gave no answer: READONLY/)
  })
})

describe('A limiter, who has no other rights', () => {
  it('takes, gives back, and is refused all else', async () => {
    const user = `user-${randomUUID()}`
    await admin.acl('SETUSER', user, 'reset', 'on', '>secret', 'resetchannels', ...LIMITER)
    await admin.script('FLUSH')
    const backend = opening({ url: `redis://${user}:secret@127.0.0.1:${server.port}` })
    await backend.ready()
    const take = takeOf()
    const other = takeOf()
    expect((await backend.rates.take(take)).remaining).toBe(9)
    await backend.rates.giveBack(take.key, take.quota, 1)
    await Promise.all([backend.rates.take(take), backend.rates.take(other)])
    expect(await backend.rates.takeAll([take, other])).toMatchObject([{ remaining: 8 }, { remaining: 8 }])
    await expect(backend.records.read({ directory: 'd' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })
})
