// Wishes for revocation while links, leases and answers are lost.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedRedis } from '@holdfast/scripts/servers'
import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import { requestRevocation } from '../lease/revocation.ts'
import type { LeaseMode } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import type { FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import { redisBackend } from './index.ts'

const prefix = `revocation-${randomUUID()}:`
let server: SharedRedis

beforeAll(async () => {
  server = await sharedRedis()
})

afterAll(async () => {
  // The server may be the user's.
  const admin = new Redis(server.url)
  const keys = await admin.keys(`${prefix}*`)
  if (keys.length > 0) await admin.del(...keys)
  admin.disconnect()
  await server.stop()
})

async function behindProxy(commandTimeoutMs = 20_000): Promise<readonly [Backend, FaultProxy]> {
  const { hostname, port } = new URL(server.url)
  const proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) }, protocol: 'redis' })
  onTestFinished(() => proxy.close())
  const backend = redisBackend({ url: proxy.redisUrl, prefix, commandTimeoutMs })
  onTestFinished(() => backend.close())
  await backend.ready()
  return [backend, proxy]
}

interface Held {
  readonly lease: Lease
  readonly proxy: FaultProxy
  readonly heard: () => number
}

/** Held by one who has heard a first wish for another lease, so his watch is set. */
async function held(name: string, options: { mode?: LeaseMode | undefined; ttlMs?: number } = {}): Promise<Held> {
  const [backend, proxy] = await behindProxy()
  const { mode, ttlMs } = options
  const lease = await acquireLease(backend, name, ttlMs === undefined ? {} : { ttlMs }, mode)
  let heard = 0
  lease.onRevoke(() => (heard += 1))
  const other = await acquireLease(backend, `${name}-first`, {})
  const asked = new Promise<void>(resolve => other.onRevoke(resolve))
  await requestRevocation(backend, other.resource)
  await asked
  await other.release()
  return { lease, proxy, heard: () => heard }
}

describe.each([
  ['a mutex', undefined],
  ['a reader', { kind: 'read' }],
  ['a permit', { kind: 'permit', limit: 2 }],
] as const)('The holder of %s', (_, mode) => {
  it('hears once of a wish that was made while it was cut off, also when who asked has gone', async () => {
    const [[asker], name] = [await behindProxy(), randomUUID()]
    const { lease, proxy, heard } = await held(name, { mode })
    proxy.refuse()
    proxy.dropConnections()
    expect(await requestRevocation(asker, name, kindOf(mode))).toBe(1)
    await asker.close()
    await sleep(200)
    expect(heard()).toBe(0)
    proxy.heal()
    await vi.waitFor(() => expect(heard()).toBe(1))
    expect(await lease.release()).toBe('released')
    expect(heard()).toBe(1)
  })

  it('hears once of a wish whose notice was lost with the connection', async () => {
    const [[asker], name] = [await behindProxy(), randomUUID()]
    const { lease, proxy, heard } = await held(name, { mode })
    proxy.hold({ direction: 'to-client' })
    expect(await requestRevocation(asker, name, kindOf(mode))).toBe(1)
    await sleep(100)
    expect(heard()).toBe(0)
    proxy.dropConnections()
    proxy.heal()
    await vi.waitFor(() => expect(heard()).toBe(1))
    expect(await lease.release()).toBe('released')
  })
})

describe('A holder', () => {
  it('whose link breaks again and again hears once of each wish', async () => {
    const [[asker], [backend, proxy]] = [await behindProxy(), await behindProxy()]
    for (let round = 0; round < 6; round += 1) {
      const lease = await acquireLease(backend, randomUUID(), {})
      let heard = 0
      lease.onRevoke(() => (heard += 1))
      await sleep(round * 5)
      const asking = requestRevocation(asker, lease.resource)
      for (let cut = 0; cut < 4; cut += 1) {
        proxy.dropConnections()
        await sleep(10 * round)
      }
      expect(await asking).toBe(1)
      await vi.waitFor(() => expect(heard).toBe(1))
      await lease.release()
      expect(heard).toBe(1)
    }
  })

  it('whose lease has ended is not asked and hears nothing, nor does the next', async () => {
    const [[asker], name] = [await behindProxy(), randomUUID()]
    const { lease, proxy, heard } = await held(name, { ttlMs: 4_000 })
    proxy.refuse()
    proxy.dropConnections()
    expect(await requestRevocation(asker, name)).toBe(1)
    const next = await acquireLease(asker, name, { waitMs: 60_000 })
    const nextHeard = vi.fn<() => void>()
    next.onRevoke(nextHeard)
    proxy.heal()
    await vi.waitFor(() => expect(lease.signal.aborted).toBe(true))
    await sleep(300)
    expect([heard(), nextHeard.mock.calls.length]).toEqual([0, 0])
    expect(await requestRevocation(asker, name)).toBe(1)
    await vi.waitFor(() => expect(nextHeard).toHaveBeenCalledOnce())
    expect(heard()).toBe(0)
    await next.release()
    expect(await requestRevocation(asker, name)).toBe(0)
  })
})

describe('Who asks', () => {
  it('and never gets the answer is told so, may ask again, and the holder hears once', async () => {
    const [[asker, proxy], name] = [await behindProxy(2_000), randomUUID()]
    const { lease, heard } = await held(name)
    const ask = asker.records.join.bind(asker.records)
    const joining = vi.spyOn(asker.records, 'join').mockImplementationOnce(async (...args) => {
      proxy.hold({ direction: 'to-client' })
      return await ask(...args)
    })
    await expect(requestRevocation(asker, name)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(joining).toHaveBeenCalledOnce()
    proxy.dropConnections()
    proxy.heal()
    await asker.ready({ timeoutMs: 60_000 })
    await vi.waitFor(async () => expect(await requestRevocation(asker, name)).toBe(1))
    await vi.waitFor(() => expect(heard()).toBe(1))
    await sleep(100)
    expect(heard()).toBe(1)
    await lease.release()
  })
})
