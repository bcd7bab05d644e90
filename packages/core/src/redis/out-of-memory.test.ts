import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import { kindOf } from '../ports/leases.ts'
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
    const lease = await acquireLease(backend, name, { ttlMs: 20_000, renew: false })
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

  describe.each([{ kind: 'read' }, { kind: 'write' }, { kind: 'permit', limit: 2 }] as const)('as a $kind', mode => {
    it('nothing new is granted', async () => {
      await fill()
      await expect(acquireLease(backend, name, {}, mode)).rejects.toMatchObject({ code: 'HF_REFUSED' })
    })

    it('a lease is renewed, and given back at once', async () => {
      const lease = await acquireLease(backend, name, { ttlMs: 20_000, renew: false }, mode)
      await fill()
      expect(await lease.extend(60_000)).toBeGreaterThan(50_000)
      expect(await lease.release()).toBe('released')
      expect((await backend.leases.inspect(name, kindOf(mode))).holders).toEqual([])
    })

    it('a lease is handed to the one who waits, who holds and releases it', async () => {
      const before = mode.kind === 'permit' ? ({ kind: 'permit', limit: 1 } as const) : ({ kind: 'write' } as const)
      const lease = await acquireLease(backend, name, {}, before)
      const waiting = acquireLease(backend, name, {}, mode.kind === 'permit' ? before : mode)
      await expect.poll(async () => (await backend.leases.inspect(name, kindOf(mode))).waiters.length).toBe(1)
      await fill()
      expect(await lease.release()).toBe('released')
      expect(await (await waiting).release()).toBe('released')
    })
  })

  it('a writer becomes a reader', async () => {
    const { leases } = backend
    const wish = { resource: name, ttlMs: 30_000, allowProvisional: true, meta: '{}' } as const
    const asked = { ...wish, requestId: leases.newRequestId(), mode: { kind: 'write' } } as const
    const outcome = await leases.tryGrant(asked)
    if (outcome.kind !== 'granted') throw new Error('It is held.')
    await fill()
    const reading = { ...wish, requestId: leases.newRequestId(), mode: { kind: 'read' } } as const
    const grant = await leases.downgrade(outcome.grant, reading)
    expect(grant?.token.value).toBe(outcome.grant.token.value)
    expect(grant && (await leases.release(grant))).toBe('released')
  })
})
