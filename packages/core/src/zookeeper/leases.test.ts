import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { acquireLease } from '../lease/acquire.ts'
import type { Grant, LeaseRequest } from '../ports/leases.ts'
import { systemRandom, toHex } from '../random.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { sync } from './operations.ts'
import { RawClient, rawDriver } from './raw-client.fixture.ts'

const server = await sharedZooKeeper()
const [host = '', port = ''] = server.connectString.split(':')
const root = `/holdfast-leases-${toHex(systemRandom.bytes(6))}`
const LONG_MS = 10_000
let raw: RawClient
let names = 0

beforeAll(async () => {
  raw = await RawClient.connect(server.connectString)
})

afterAll(async () => {
  await raw.removeTree(root)
  raw.close()
  await server.stop()
})

function open(options: Partial<ZooKeeperBackendOptions> = {}): ZooKeeperBackend {
  const backend = zookeeperBackend({ connect: server.connectString, root, sessionTimeoutMs: LONG_MS, ...options })
  onTestFinished(() => backend.close())
  return backend
}

async function openBehindProxy(
  options: Partial<ZooKeeperBackendOptions> = {},
): Promise<[ZooKeeperBackend, FaultProxy]> {
  const proxy = await createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  // So seldom heard of that no heartbeat is counted with what is asked.
  const backend = open({ connect: proxy.connectString, sessionTimeoutMs: 60_000, ...options })
  await backend.ready({ timeoutMs: 60_000 })
  return [backend, proxy]
}

function resource(): string {
  names += 1
  return `r${names}`
}

function request(backend: ZooKeeperBackend, of: string, wishes: Partial<LeaseRequest> = {}): LeaseRequest {
  const requestId = backend.leases.newRequestId()
  return { resource: of, requestId, ttlMs: undefined, allowProvisional: true, meta: '{"purpose":"test"}', ...wishes }
}

async function take(backend: ZooKeeperBackend, of: string): Promise<Grant> {
  const outcome = await backend.leases.tryGrant(request(backend, of))
  if (outcome.kind === 'held') throw new Error(`"${of}" is held.`)
  return outcome.grant
}

async function contenders(of: string): Promise<string[]> {
  const children = await raw.children(`${root}/${of}`).catch(() => [])
  return children.filter(child => /\d{10}$/.test(child))
}

describe('A node of a lease', () => {
  it('has the name that Curator gives it, is ephemeral, and holds the meta', async () => {
    const backend = open()
    const name = resource()
    const grant = await take(backend, name)
    const [node, ...others] = await contenders(name)
    expect(others).toEqual([])
    expect(node).toBe(`_c_${grant.request.requestId}-lock-0000000000`)
    expect(await raw.text(`${root}/${name}/${node}`)).toBe('{"purpose":"test"}')
    await backend.close()
    expect(await contenders(name)).toEqual([])
  })

  it('has the name that kazoo gives it, when asked for', async () => {
    const backend = open({ naming: 'kazoo' })
    const name = resource()
    const grant = await take(backend, name)
    expect(await contenders(name)).toEqual([`${grant.request.requestId}__lock__0000000000`])
    expect(grant.request.requestId).toMatch(/^[\da-f]{32}$/)
  })

  it('stands below the chroot of the connect string', async () => {
    const backend = open({ connect: `${server.connectString}${root}`, root: '/inner' })
    await take(backend, 'x')
    expect(await raw.children(`${root}/inner/x`)).toHaveLength(1)
  })
})

describe('A lease shared with Curator', () => {
  it('is not granted while a node of Curator stands before ours, and is when that goes', async () => {
    const backend = open()
    const name = resource()
    await raw.mkdirp(`${root}/${name}`)
    const theirs = await raw.contend(`${root}/${name}`)
    expect((await backend.leases.tryGrant(request(backend, name))).kind).toBe('held')
    const granted = backend.leases.grant(request(backend, name))
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(2))
    await raw.remove(theirs)
    expect((await granted).token.value).toBeGreaterThan(0n)
  })

  it('stands before a node of Curator that came later', async () => {
    const backend = open()
    const name = resource()
    const grant = await take(backend, name)
    const theirs = await raw.contend(`${root}/${name}`)
    // Curator sorts by the text behind the last `lock-`.
    const sequences = (await raw.children(`${root}/${name}`)).map(node => node.slice(-10))
    expect(sequences.every(sequence => sequence <= theirs.slice(-10))).toBe(true)
    expect(await backend.leases.release(grant)).toBe('released')
    expect(await raw.children(`${root}/${name}`)).toEqual([theirs.slice(theirs.lastIndexOf('/') + 1)])
  })

  it('shows a contender that is not ours as it is', async () => {
    const name = resource()
    await raw.mkdirp(`${root}/${name}`)
    await raw.contend(`${root}/${name}`, 'aaaaaaaa-0000-0000-0000-000000000001')
    const info = await open().leases.inspect(name)
    expect(info.holder).toMatchObject({
      requestId: 'aaaaaaaa-0000-0000-0000-000000000001',
      meta: { data: '127.0.0.1' },
    })
  })
})

describe('Tokens', () => {
  it('grow over the deletion of the parent, while the sequence numbers begin anew', async () => {
    const backend = open()
    const name = resource()
    let last = 0n
    for (let round = 0; round < 20; round++) {
      const grant = await take(backend, name)
      expect(await contenders(name)).toEqual([`_c_${grant.request.requestId}-lock-0000000000`])
      expect(grant.token.value).toBeGreaterThan(last)
      last = grant.token.value
      await backend.leases.release(grant)
      await raw.remove(`${root}/${name}`)
    }
  })

  it('grow from holder to waiter, whoever asked first', async () => {
    const [one, other] = [open(), open()]
    const name = resource()
    const held = await take(one, name)
    const waiting = other.leases.grant(request(other, name))
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(2))
    await one.leases.release(held)
    expect((await waiting).token.value).toBeGreaterThan(held.token.value)
  })
})

describe('A lock and another further down', () => {
  it('are two: neither stands in the way of the other', async () => {
    const backend = open()
    const name = resource()
    const inner = await take(backend, `${name}/b`)
    const outer = await take(backend, name)
    const tricky = await take(backend, `${name}/_c_x-lock-0000000000`)
    const next = backend.leases.grant(request(backend, name))
    await backend.leases.release(outer)
    await backend.leases.release(await next)
    for (const grant of [inner, tricky]) expect(await backend.leases.release(grant)).toBe('released')
  })
})

describe('The TTL', () => {
  it("is the session's, which the server has the last word on", async () => {
    const backend = open({ sessionTimeoutMs: 3_600_000 })
    const grant = await take(backend, resource())
    const { timeoutMs } = internalsOf(backend).sessions.current
    expect(timeoutMs).toBeLessThan(3_600_000)
    expect(grant.ttlMs).toBe(timeoutMs)
    expect(grant.deadline.remainingMs()).toBeLessThanOrEqual((timeoutMs * 2) / 3)
    expect(grant.isProvisional).toBe(false)
  })

  it('is refused when shorter, with both values, and nothing is sent', async () => {
    const backend = open()
    const name = resource()
    const asked = backend.leases.tryGrant(request(backend, name, { ttlMs: LONG_MS - 1 }))
    await expect(asked).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'ttlMs' })
    await expect(asked).rejects.toThrow(/at least 10000, .*, got 9999\.$/)
    expect(await contenders(name)).toEqual([])
  })

  it("is the session's when longer", async () => {
    const backend = open()
    const outcome = await backend.leases.tryGrant(request(backend, resource(), { ttlMs: 86_400_000 }))
    expect(outcome).toMatchObject({ kind: 'granted', grant: { ttlMs: LONG_MS } })
  })

  it('is one deadline for all leases of a session', async () => {
    const backend = open()
    const [one, other] = [await take(backend, resource()), await take(backend, resource())]
    expect(one.deadline).toBe(other.deadline)
  })
})

describe('Waiting', () => {
  it('watches the two before and nobody else, and takes the place of one that gives up', async () => {
    const [backend, proxy] = await openBehindProxy()
    const name = resource()
    const held = await take(backend, name)
    const abort = new AbortController()
    const waiting: Promise<Grant>[] = []
    for (let index = 0; index < 10; index++) {
      const signal = index === 4 ? abort.signal : undefined
      waiting.push(backend.leases.grant(request(backend, name), signal))
      await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(index + 2))
    }
    const { watches } = internalsOf(backend).sessions.current
    await vi.waitFor(() => expect(watches.size).toBe(10))
    proxy.resetCounts()
    abort.abort(new Error('enough'))
    await expect(waiting[4]).rejects.toThrow('enough')
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(10))
    await vi.waitFor(() => expect(watches.size).toBe(9))
    // The delete, and of the two behind a listing and their watches.
    expect(proxy.requests).toBeLessThanOrEqual(6)
    await backend.leases.release(held)
    for (const [index, turn] of waiting.entries()) if (index !== 4) await backend.leases.release(await turn)
    expect(watches.size).toBe(0)
    expect(await contenders(name)).toEqual([])
  })

  it('costs seven requests for an acquisition in a crowd, and nothing while it waits', async () => {
    const [backend, proxy] = await openBehindProxy()
    const name = resource()
    const held = await take(backend, name)
    const waiting = Array.from({ length: 8 }, () => backend.leases.grant(request(backend, name)))
    await vi.waitFor(() => expect(internalsOf(backend).sessions.current.watches.size).toBe(8))
    proxy.resetCounts()
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(proxy.requests).toBe(0)
    const next = Array.from({ length: 8 }, () => backend.leases.grant(request(backend, name)))
    await backend.leases.release(held)
    for (const turn of [...waiting, ...next]) await backend.leases.release(await turn)
    // Of the 17 deletes one is of the first; the 8 that waited already have each to find out that they are next, the 8 others all.
    expect(proxy.requests).toBeLessThanOrEqual(1 + 8 * 3 + 8 * 7)
  })

  it('asks for nothing at its turn: who is next knows it by then', async () => {
    const name = resource()
    const first = open()
    const held = await take(first, name)
    const [second, third] = [await openBehindProxy(), await openBehindProxy()]
    const waiting: Promise<Grant>[] = []
    for (const [index, [backend]] of [second, third].entries()) {
      waiting.push(backend.leases.grant(request(backend, name)))
      await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(index + 2))
      await vi.waitFor(() => expect(internalsOf(backend).sessions.current.watches.size).toBe(2))
    }
    let before = { backend: first, grant: held }
    for (const [index, [backend, proxy]] of [second, third].entries()) {
      // Answered behind all that it wants to know before its turn.
      const { sessions } = internalsOf(backend)
      await vi.waitFor(() => expect(proxy.requests).toBe(index === 0 ? 4 : 6))
      await sessions.current.run(sync(root))
      proxy.resetCounts()
      await before.backend.leases.release(before.grant)
      before = { backend, grant: (await waiting[index]) as Grant }
      expect(proxy.requests).toBe(0)
    }
    await before.backend.leases.release(before.grant)
  })

  it('has no turn in a node that somebody deleted, though it was next: who is behind it has', async () => {
    const [backend, other] = [open(), open()]
    const name = resource()
    const held = await take(backend, name)
    const asked = request(backend, name)
    let isGranted = false
    const ousted = backend.leases.grant(asked).then(grant => {
      isGranted = true
      return grant
    })
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(2))
    const behind = other.leases.grant(request(other, name))
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(3))
    const [node] = (await contenders(name)).filter(child => child.includes(asked.requestId))
    await raw.remove(`${root}/${name}/${node}`)
    await backend.leases.release(held)
    const next = await behind
    // It queues again, and that is answered behind its turn if it had one.
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(2))
    await internalsOf(backend).sessions.current.run(sync(root))
    expect(isGranted).toBe(false)
    await other.leases.release(next)
    const granted = await ousted
    expect(granted.token.value).toBeGreaterThan(next.token.value)
    await backend.leases.release(granted)
    expect(await contenders(name)).toEqual([])
  })

  it('is uncontended one round of two requests, and the release one', async () => {
    const [backend, proxy] = await openBehindProxy()
    const name = resource()
    await backend.leases.release(await take(backend, name))
    proxy.resetCounts()
    await backend.leases.release(await take(backend, name))
    expect(proxy.requests).toBe(3)
  })

  it('queues again when somebody deletes the node that waits', async () => {
    const backend = open()
    const name = resource()
    const held = await take(backend, name)
    const asked = request(backend, name)
    const waiting = backend.leases.grant(asked)
    await vi.waitFor(async () => expect(await contenders(name)).toHaveLength(2))
    const [node] = (await contenders(name)).filter(child => child.includes(asked.requestId))
    await raw.remove(`${root}/${name}/${node}`)
    await backend.leases.release(held)
    const granted = await waiting
    expect(granted.token.value).toBeGreaterThan(held.token.value)
    await backend.leases.release(granted)
    expect(await contenders(name)).toEqual([])
  })
})

describe('A create whose reply is lost', () => {
  it('is found again: there is one node, and it is granted (9)', async () => {
    const [backend, proxy] = await openBehindProxy()
    const name = resource()
    await backend.leases.release(await take(backend, name))
    for (let round = 0; round < 5; round++) {
      proxy.cutMidReply(round * 5)
      const grant = await take(backend, name)
      expect(await contenders(name)).toHaveLength(1)
      expect(await backend.leases.release(grant)).toBe('released')
      expect(await contenders(name)).toEqual([])
    }
  })

  it('takes no node of an earlier session for its own, and deletes it', async () => {
    const backend = open()
    const name = resource()
    const asked = request(backend, name)
    await raw.mkdirp(`${root}/${name}`)
    await raw.contend(`${root}/${name}`, asked.requestId)
    const grant = await backend.leases.grant(asked)
    expect(await contenders(name)).toEqual([`_c_${asked.requestId}-lock-0000000001`])
    expect(await backend.leases.release(grant)).toBe('released')
  })

  it('of a release is no loss: the lease was given back', async () => {
    const [backend, proxy] = await openBehindProxy()
    const name = resource()
    const lease = await acquireLease(backend, name, {})
    proxy.cutMidReply(0)
    expect(await lease.release()).toBe('released')
    expect(await contenders(name)).toEqual([])
  })
})

describe('A renewal', () => {
  it('finds out that somebody deleted the node', async () => {
    const backend = open()
    const name = resource()
    const grant = await take(backend, name)
    const renewal = { grant, ttlMs: LONG_MS }
    expect(await backend.leases.renew([renewal])).toMatchObject([{ kind: 'renewed', ttlMs: LONG_MS }])
    await raw.remove(`${root}/${name}/${(await contenders(name))[0]}`)
    expect(await backend.leases.renew([renewal])).toEqual([{ kind: 'lost', reason: 'revoked' }])
    expect(await backend.leases.release(grant)).toBe('lost')
  })

  it('survives that somebody deletes the heartbeat node', async () => {
    const backend = open()
    const grant = await take(backend, resource())
    const renewal = { grant, ttlMs: LONG_MS }
    await backend.leases.renew([renewal])
    for (const node of await raw.children(`${root}/%sessions`)) await raw.remove(`${root}/%sessions/${node}`)
    expect(await backend.leases.renew([renewal])).toMatchObject([{ kind: 'renewed' }])
  })

  it('is refused for a TTL that is too short', async () => {
    const backend = open()
    const grant = await take(backend, resource())
    await expect(backend.leases.renew([{ grant, ttlMs: 500 }])).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})

describe('What ZooKeeper refuses', () => {
  it('is told with its code, and where it came from', async () => {
    const backend = open()
    const name = resource()
    // An ephemeral node has no children.
    await raw.mkdirp(root)
    await raw.create(`${root}/${name}`, '', rawDriver.CreateMode.EPHEMERAL)
    const asked = backend.leases.tryGrant(request(backend, name))
    await expect(asked).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(asked).rejects.toThrow(
      `ZooKeeper at ${server.connectString} refused the request: NO_CHILDREN_FOR_EPHEMERALS (-108).`,
    )
  })
})
