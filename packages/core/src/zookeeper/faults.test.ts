// What happens to leases when servers, links and sessions break. Every test has a server of its own to break.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LeaseLostError } from '../errors.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import { keepCutting } from './cutting.fixture.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { RawClient } from './raw-client.fixture.ts'

async function ownServer(): Promise<ZooKeeperServer> {
  const server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
  onTestFinished(() => server.stop())
  return server
}

async function open(connect: string, options: Partial<ZooKeeperBackendOptions> = {}): Promise<ZooKeeperBackend> {
  const backend = zookeeperBackend({ connect, sessionTimeoutMs: 12_000, operationTimeoutMs: 20_000, ...options })
  onTestFinished(() => backend.close())
  await backend.ready({ timeoutMs: 60_000 })
  return backend
}

async function proxyTo(server: ZooKeeperServer): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  return proxy
}

async function rawClient(server: ZooKeeperServer): Promise<RawClient> {
  const raw = await RawClient.connect(server.connectString)
  onTestFinished(() => raw.close())
  return raw
}

function contenders(raw: RawClient, name: string): Promise<string[]> {
  return raw.children(`/holdfast/${name}`).catch(() => [])
}

/** Resolves once the signal fires, with the reason; the lease must have been valid until then. */
async function loss(lease: Lease): Promise<string> {
  await new Promise<void>(resolve => {
    if (lease.signal.aborted) resolve()
    else lease.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  expect(lease.signal.reason).toBeInstanceOf(LeaseLostError)
  expect(lease.remainingMs()).toBe(0)
  return (lease.signal.reason as LeaseLostError).reason
}

describe('A server', () => {
  it('that is killed and comes back within the session costs no lease and no place in the queue', async () => {
    const server = await ownServer()
    const [one, other] = [
      await open(server.connectString, { sessionTimeoutMs: 40_000 }),
      await open(server.connectString, { sessionTimeoutMs: 40_000 }),
    ]
    const held = await acquireLease(one, 'a', {})
    const waiting = acquireLease(other, 'a', {})
    await vi.waitFor(async () => expect((await one.leases.inspect('a')).waiters).toHaveLength(1))
    const sessionId = internalsOf(one).sessions.current.id
    await server.restart()
    await Promise.all([one, other].map(backend => backend.ready({ timeoutMs: 60_000 })))
    expect(internalsOf(one).sessions.current.id).toBe(sessionId)
    held.assertHeld()
    expect(held.signal.aborted).toBe(false)
    const { token } = held
    expect(await held.release()).toBe('released')
    const next = await waiting
    expect(next.token > token).toBe(true)
    expect(await next.release()).toBe('released')
  })

  it('that stays away longer than the session costs every lease, by its deadline', async () => {
    const server = await ownServer()
    const backend = await open(server.connectString, { sessionTimeoutMs: 1_500 })
    const lease = await acquireLease(backend, 'a', {})
    await server.kill('SIGKILL')
    // The server is away: nobody but the lease's own clock can have told.
    expect(await loss(lease)).toBe('expired')
    expect(() => lease.token).toThrow(LeaseLostError)
    await sleep(1_500)
    await server.restart()
    // Started anew it gives its sessions their whole timeout again: what was lost has to be taken back.
    const raw = await rawClient(server)
    await vi.waitFor(async () => expect(await contenders(raw, 'a')).toEqual([]))
    await (await acquireLease(backend, 'a', {})).release()
  })

  it('that is stopped (SIGSTOP) within the session costs no lease when it goes on soon', async () => {
    const server = await ownServer()
    const backend = await open(server.connectString, { sessionTimeoutMs: 9_000 })
    const lease = await acquireLease(backend, 'a', {})
    await server.kill('SIGSTOP')
    await sleep(1_000)
    await server.kill('SIGCONT')
    // Longer than its deadline was at first.
    await sleep(6_000)
    expect(lease.signal.aborted).toBe(false)
    expect(await lease.release()).toBe('released')
  })

  it('that is stopped (SIGSTOP) for long costs the lease by its deadline, though the connection stays open', async () => {
    const server = await ownServer()
    const backend = await open(server.connectString, { sessionTimeoutMs: 1_500 })
    const lease = await acquireLease(backend, 'a', {})
    await server.kill('SIGSTOP')
    // The server says nothing until it goes on.
    expect(await loss(lease)).toBe('expired')
    await server.kill('SIGCONT')
    await (await acquireLease(backend, 'a', {})).release()
  })

  it('of several that falls silent is left for another before the leases end', async () => {
    const server = await ownServer()
    const [first, second] = [await proxyTo(server), await proxyTo(server)]
    const random = { next: () => 0, bytes: (count: number) => new Uint8Array(count).fill(7) }
    const connect = `${first.connectString},${second.connectString}`
    const backend = await open(connect, { sessionTimeoutMs: 15_000, random })
    const lease = await acquireLease(backend, 'a', {})
    expect(first.connections).toBe(1)
    first.blackHole()
    // Longer than its deadline was at first.
    await sleep(12_000)
    expect(second.connections).toBe(1)
    lease.assertHeld()
    expect(await lease.release()).toBe('released')
  })
})

describe('A session', () => {
  it('that has expired is told to the holder, and the next acquisition has a new one', async () => {
    const server = await ownServer()
    const proxy = await proxyTo(server)
    const backend = await open(proxy.connectString, { sessionTimeoutMs: 2_000 })
    const raw = await rawClient(server)
    const lost: string[] = []
    backend.leases.onLost((requestId, reason) => lost.push(`${requestId} ${reason}`))
    const outcome = await backend.leases.tryGrant({
      resource: 'a',
      requestId: backend.leases.newRequestId(),
      ttlMs: undefined,
      allowProvisional: true,
      meta: '{}',
    })
    if (outcome.kind === 'held') throw new Error('It is held.')
    const { grant } = outcome
    expect(await contenders(raw, 'a')).toHaveLength(1)
    proxy.refuse()
    proxy.dropConnections()
    await vi.waitFor(async () => expect(await contenders(raw, 'a')).toEqual([]))
    proxy.heal()
    await vi.waitFor(() => expect(lost).toEqual([`${grant.request.requestId} session-lost`]))
    expect(grant.deadline.remainingMs()).toBe(0)
    expect(await backend.leases.release(grant)).toBe('lost')
    expect(await backend.leases.renew([{ grant, ttlMs: 60_000 }])).toEqual([{ kind: 'lost', reason: 'session-lost' }])
    const lease = await acquireLease(backend, 'a', {})
    expect(lease.token.value).toBeGreaterThan(grant.token.value)
    await lease.release()
  })

  it('that outlives a deadline gives none of its leases back, and leaves none of their nodes', async () => {
    const server = await ownServer()
    const proxy = await proxyTo(server)
    // The deadline is 8 s, the session lasts 12 s: between them the link comes back.
    const backend = await open(proxy.connectString, { sessionTimeoutMs: 12_000 })
    const raw = await rawClient(server)
    const lease = await acquireLease(backend, 'a', {})
    const { id } = internalsOf(backend).sessions.current
    proxy.refuse()
    proxy.dropConnections()
    expect(await loss(lease)).toBe('expired')
    expect(await contenders(raw, 'a')).toHaveLength(1)
    proxy.heal()
    await vi.waitFor(async () => expect(await contenders(raw, 'a')).toEqual([]))
    expect(internalsOf(backend).sessions.current.id).toBe(id)
    expect(lease.remainingMs()).toBe(0)
    expect(await lease.release()).toBe('lost')
    const next = await acquireLease(backend, 'a', {})
    expect(next.remainingMs()).toBeGreaterThan(1_000)
    await next.release()
  })

  it('that was lost while somebody waited in it makes him wait in the next, behind the others', async () => {
    const server = await ownServer()
    const proxy = await proxyTo(server)
    const one = await open(server.connectString, { sessionTimeoutMs: 60_000 })
    const other = await open(proxy.connectString, { sessionTimeoutMs: 3_000 })
    const held = await acquireLease(one, 'a', {})
    const waiting = acquireLease(other, 'a', {})
    await vi.waitFor(async () => expect((await one.leases.inspect('a')).waiters).toHaveLength(1))
    proxy.refuse()
    proxy.dropConnections()
    await vi.waitFor(async () => expect((await one.leases.inspect('a')).waiters).toHaveLength(0))
    proxy.heal()
    await vi.waitFor(async () => expect((await one.leases.inspect('a')).waiters).toHaveLength(1))
    await held.release()
    expect((await waiting).remainingMs()).toBeGreaterThan(0)
  })

  it('that holds nothing does not die of it', async () => {
    const server = await ownServer()
    const backend = await open(server.connectString, { sessionTimeoutMs: 3_000 })
    const { id } = internalsOf(backend).sessions.current
    await sleep(7_000)
    expect(internalsOf(backend).sessions.current.id).toBe(id)
    expect(backend.health.current.kind).toBe('ready')
    await (await acquireLease(backend, 'a', {})).release()
  })

  it('is kept for a waiter, who gets a lease with time left however long he waited', async () => {
    const server = await ownServer()
    const one = await open(server.connectString, { sessionTimeoutMs: 60_000 })
    const other = await open(server.connectString, { sessionTimeoutMs: 3_000 })
    const held = await acquireLease(one, 'a', {})
    const waiting = acquireLease(other, 'a', {})
    await sleep(7_000)
    await held.release()
    const lease = await waiting
    expect(lease.remainingMs()).toBeGreaterThan(0)
  })
})

describe('A link', () => {
  it('that is cut again and again costs neither lease nor place, and leaves nothing', async () => {
    const server = await ownServer()
    const raw = await rawClient(server)
    const proxies = [await proxyTo(server), await proxyTo(server)] as const
    const [one, other] = [await open(proxies[0].connectString), await open(proxies[1].connectString)]
    const stops = [keepCutting(one, proxies[0], 120), keepCutting(other, proxies[1], 120)]
    const stopCutting = (): void => stops.forEach(stop => stop())
    onTestFinished(stopCutting)
    let holders = 0
    const turns = async (backend: ZooKeeperBackend): Promise<number> => {
      let count = 0
      for (const endMs = performance.now() + 4_000; performance.now() < endMs || count < 10; count++) {
        const lease = await acquireLease(backend, 'a', {})
        expect(++holders).toBe(1)
        await sleep(2)
        holders -= 1
        expect(await lease.release()).toBe('released')
      }
      return count
    }
    const counts = await Promise.all([turns(one), turns(one), turns(other), turns(other)])
    stopCutting()
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(10)
    await vi.waitFor(async () => expect(await contenders(raw, 'a')).toEqual([]))
  })

  it('that is silent does not keep a backend from closing, and its session frees the lock', async () => {
    const server = await ownServer()
    const proxy = await proxyTo(server)
    const raw = await rawClient(server)
    const backend = await open(proxy.connectString, { sessionTimeoutMs: 2_000, operationTimeoutMs: 60_000 })
    await acquireLease(backend, 'a', {})
    proxy.blackHole()
    // Nobody answers it any more.
    await backend.close()
    await vi.waitFor(async () => expect(await contenders(raw, 'a')).toEqual([]))
  })

  it('that is not there is told within the operation timeout, with what the system said', async () => {
    const backend = zookeeperBackend({ connect: '127.0.0.1:1', operationTimeoutMs: 1_000 })
    onTestFinished(() => backend.close())
    await expect(backend.ready({ timeoutMs: 1_000 })).rejects.toThrow(
      /^No connection to ZooKeeper at 127\.0\.0\.1:1 within 1000 ms: .*ECONNREFUSED/,
    )
    await expect(acquireLease(backend, 'a', {})).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    await expect(backend.leases.inspect('a')).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    const abort = new AbortController()
    const ready = backend.ready({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(ready).rejects.toThrow('enough')
  })
})

describe('The node of a lock', () => {
  it('is deleted by the server when it has been empty for a while', async () => {
    vi.stubEnv('JAVA_TOOL_OPTIONS', '-Dznode.container.checkIntervalMs=200')
    const server = await ownServer()
    vi.unstubAllEnvs()
    const raw = await rawClient(server)
    const backend = await open(server.connectString)
    const lease = await acquireLease(backend, 'shop/stock', {})
    const other = await acquireLease(backend, 'other', {})
    await lease.release()
    await vi.waitFor(async () =>
      expect(new Set(await raw.children('/holdfast'))).toEqual(new Set(['%sessions', 'other'])),
    )
    const again = await acquireLease(backend, 'shop/stock', {})
    expect(again.token > lease.token).toBe(true)
    await Promise.all([again.release(), other.release()])
  })
})
