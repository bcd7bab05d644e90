import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startRedis } from '@holdfast/scripts/servers'
import { describe, expect, it, vi } from 'vitest'
import { acquireLease, tryAcquireLease } from '../index.ts'
import { createFaultProxy, SimulatedClock } from '../testing/index.ts'
import { redisBackend } from './index.ts'

// Longer than the driver ever waits before it connects again.
const RECONNECT_MS_MAX = 1_100

describe('A closed Redis backend', () => {
  it('connects no more, though what an acquire may have left was never taken back (seen: a process held for its TTL)', async () => {
    let connections = 0
    const server = createServer(socket => {
      connections += 1
      socket.resetAndDestroy()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const backend = redisBackend({ url: `redis://127.0.0.1:${port}`, commandTimeoutMs: 10_000 })
    await expect(acquireLease(backend, 'orders', { waitMs: 100 })).rejects.toThrow('orders')
    await backend.close()
    // One that was on its way is accepted yet.
    await sleep(RECONNECT_MS_MAX)
    connections = 0
    await sleep(RECONNECT_MS_MAX)
    expect(connections).toBe(0)
    server.close()
  })

  it('waits for nothing when the server was never reached: it has nothing of ours', async () => {
    // Never advanced, so that nothing that has a limit is over.
    const clock = new SimulatedClock()
    const backend = redisBackend({ url: `redis://127.0.0.1:${await freePort()}`, clock })
    const acquired = acquireLease(backend, 'orders', {}).catch((error: unknown) => error)
    const closed = vi.fn<() => void>()
    void backend.close().then(closed)
    await expect.poll(() => closed.mock.calls.length).toBe(1)
    expect(await acquired).toMatchObject({ code: 'HF_CLOSED' })
  })

  it.each([
    ['acquire', acquireLease],
    ['tryAcquire', tryAcquireLease],
  ])('has given back what an %s was about to get (seen: a lease that nobody had, for its TTL)', async (_, acquire) => {
    const server = await startRedis()
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const backend = redisBackend({ url: proxy.redisUrl, maxClockSkewMs: 0 })
    await backend.ready()
    proxy.delay(300, { direction: 'to-client' })
    const sent = proxy.bytesToServer
    const acquired = acquire(backend, 'orders', {}).catch((error: unknown) => error)
    await expect.poll(() => proxy.bytesToServer, { interval: 1 }).toBeGreaterThan(sent)
    await backend.close()
    expect(await acquired).toMatchObject({ code: 'HF_CLOSED' })
    const other = redisBackend({ url: server.url, maxClockSkewMs: 0 })
    expect((await other.leases.inspect('orders')).holder).toBeUndefined()
    await other.close()
    await proxy.close()
    await server.stop()
  })
})
