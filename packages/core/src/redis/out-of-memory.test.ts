import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import { redisBackend } from './index.ts'

let server: RedisServer
let admin: Redis
let backend: Backend
let name: string

beforeAll(async () => {
  server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
  admin = new Redis(server.url)
  backend = redisBackend({ url: server.url, maxClockSkewMs: 0 })
})

afterAll(async () => {
  await backend.close()
  admin.disconnect()
  await server.stop()
})

beforeEach(async () => {
  name = randomUUID()
  await admin.config('SET', 'maxmemory', '0')
})

const fill = (): Promise<unknown> => admin.config('SET', 'maxmemory', '1mb')

describe('On a Redis that is out of memory', () => {
  it('nothing new is granted', async () => {
    await fill()
    await expect(acquireLease(backend, name, {})).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })

  it('a lease is given back at once (seen: it stood until its deadline)', async () => {
    const lease = await acquireLease(backend, name, {})
    await fill()
    expect(await lease.release()).toBe('released')
    expect((await backend.leases.inspect(name)).holder).toBeUndefined()
  })

  it('a lease is renewed (seen: every holder lost his)', async () => {
    const lease = await acquireLease(backend, name, { ttlMs: 1_000, renew: false })
    await fill()
    expect(await lease.extend(60_000)).toBeGreaterThan(50_000)
    expect(await lease.release()).toBe('released')
  })

  it('a lease is handed to the one who waits, who holds and releases it', async () => {
    const lease = await acquireLease(backend, name, {})
    const waiting = acquireLease(backend, name, {})
    await expect.poll(async () => (await backend.leases.inspect(name)).waiters.length).toBe(1)
    await fill()
    expect(await lease.release()).toBe('released')
    const next = await waiting
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    expect(await next.release()).toBe('released')
  })
})
