import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { FencingToken } from '../fencing/token.ts'
import { acquireLease } from '../lease/acquire.ts'
import { memoryBackend } from '../memory/index.ts'
import { systemRandom, toHex } from '../random.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import { FakeServer } from './fake-server.fixture.ts'
import type { ApplyRequest, FenceOperation, ZooKeeperBackend, ZooKeeperFence } from './index.ts'
import { zookeeperBackend, zookeeperFence } from './index.ts'
import { OPCODE } from './operations.ts'
import { RawClient } from './raw-client.fixture.ts'

const server = await sharedZooKeeper()
const [host = '', port = ''] = server.connectString.split(':')
const root = `/holdfast-guard-${toHex(systemRandom.bytes(6))}`
const fences = `${root}/%guards`
let raw: RawClient
let node: string
let resource: string
let names = 0

beforeAll(async () => {
  raw = await RawClient.connect(server.connectString)
  await raw.mkdirp(root)
})

beforeEach(async () => {
  names += 1
  resource = `r${names}`
  node = await raw.create(`${root}/data-${names}`, 'old')
})

afterAll(async () => {
  await raw.removeTree(root)
  raw.close()
  await server.stop()
})

function open(connect: string = server.connectString): ZooKeeperBackend {
  const backend = zookeeperBackend({ connect, root, operationTimeoutMs: 1_500 })
  onTestFinished(() => backend.close())
  return backend
}

async function proxied(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host, port: Number(port) }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  return proxy
}

function token(value: bigint): FencingToken {
  return new FencingToken(value)
}

function write(fence: ZooKeeperFence, value: bigint, data = `by ${value}`): Promise<unknown> {
  return fence.apply({ lease: { resource, token: token(value) }, operations: [{ kind: 'set', path: node, data }] })
}

describe('zookeeperFence', () => {
  it('writes under a lease, in one request once it has seen the resource', async () => {
    const proxy = await proxied()
    const backend = open(proxy.connectString)
    const fence = zookeeperFence({ backend })
    const lease = await acquireLease(backend, resource, { guard: fence })
    expect(lease.guarantee).toBe('fenced')
    const operations: FenceOperation[] = [
      { kind: 'check', path: node, version: 0 },
      { kind: 'set', path: node, data: 'new', version: 0 },
      { kind: 'create', path: `${node}/child`, data: Buffer.from([1, 2]) },
      { kind: 'delete', path: `${node}/child`, version: 0 },
    ]
    proxy.resetCounts()
    expect(await fence.apply({ lease, operations })).toEqual([
      { kind: 'check' },
      { kind: 'set', version: 1 },
      { kind: 'create', path: `${node}/child` },
      { kind: 'delete' },
    ])
    expect(proxy.requests).toBe(1)
    expect(await raw.text(node)).toBe('new')
    expect(await raw.text(`${fences}/${resource}`)).toBe(lease.token.toString())
    await lease.release()
  })

  it('refuses a stale token and changes nothing, also when another process has raised the fence', async () => {
    const [one, other] = [zookeeperFence(open()), zookeeperFence(open())]
    await write(one, 5n)
    await write(other, 7n)
    const stale = write(one, 5n, 'stale')
    await expect(stale).rejects.toMatchObject({ code: 'HF_STALE_TOKEN', resource, newest: token(7n) })
    expect(await raw.text(node)).toBe('by 7')
    await write(one, 7n, 'again')
    expect(await raw.text(node)).toBe('again')
  })

  it('knows from then on without asking', async () => {
    const proxy = await proxied()
    const fence = zookeeperFence(open(proxy.connectString))
    await write(fence, 7n)
    proxy.resetCounts()
    await expect(write(fence, 6n)).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    await expect(fence.raise({ resource, token: token(6n) })).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(proxy.requests).toBe(0)
  })

  it('raises without writing, and again to the same token', async () => {
    const [one, other] = [zookeeperFence(open()), zookeeperFence(open())]
    await write(one, 5n)
    await other.raise({ resource, token: token(6n) })
    await other.raise({ resource, token: token(6n) })
    await one.raise({ resource, token: token(6n) })
    await expect(write(one, 5n, 'stale')).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    await expect(other.raise({ resource, token: token(5n) })).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(await raw.text(node)).toBe('by 5')
  })

  it('lets nothing stale through when many write at once, from several processes', async () => {
    const guards = [zookeeperFence(open()), zookeeperFence(open()), zookeeperFence(open())]
    const accepted: bigint[] = []
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, async (_, index) => {
        const value = BigInt(1 + ((index * 37) % 20))
        await write(guards[index % 3] as ZooKeeperFence, value)
        accepted.push(value)
      }),
    )
    const refusals = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(accepted.length).toBeGreaterThan(0)
    expect(await raw.text(`${fences}/${resource}`)).toBe(token(20n).toString())
    expect(await raw.text(node)).toBe('by 20')
  })

  it('refuses a version of 0 on a node that has moved on, all or nothing (8)', async () => {
    const fence = zookeeperFence(open())
    await raw.write(node, 'moved on')
    for (const kind of ['check', 'set', 'delete'] as const) {
      const operations = [
        { kind: 'create', path: `${node}-new`, data: '' },
        { kind, path: node, version: 0, data: 'x' },
      ] as FenceOperation[]
      const applied = fence.apply({ lease: { resource, token: token(1n) }, operations })
      await expect(applied).rejects.toMatchObject({ code: 'HF_REFUSED' })
      await expect(applied).rejects.toThrow(`operation 1 (${kind} ${node}): BAD_VERSION (-103). Nothing was changed.`)
    }
    expect(await raw.text(node)).toBe('moved on')
    expect(await raw.children(root)).not.toContain(`${node}-new`.slice(root.length + 1))
  })

  it("refuses when the lease's own node is gone, though no newer token was seen", async () => {
    const backend = open()
    const fence = zookeeperFence(backend)
    const lease = await acquireLease(backend, resource, { guard: fence })
    const [contender] = await raw.children(`${root}/${resource}`)
    await raw.remove(`${root}/${resource}/${contender}`)
    const applied = fence.apply({ lease, operations: [{ kind: 'set', path: node, data: 'late' }] })
    await expect(applied).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'revoked' })
    expect(await raw.text(node)).toBe('old')
  })

  it('takes no lease that has ended', async () => {
    const backend = open()
    const fence = zookeeperFence(backend)
    const lease = await acquireLease(backend, resource, {})
    await backend.close()
    await expect(fence.apply({ lease, operations: [{ kind: 'delete', path: node }] })).rejects.toMatchObject({
      code: 'HF_LEASE_LOST',
    })
  })

  it('guards a lease of another backend', async () => {
    const memory = memoryBackend()
    const fence = zookeeperFence(open())
    const lease = await acquireLease(memory, 'a/b 🔒', { guard: fence })
    await fence.apply({ lease, operations: [{ kind: 'set', path: node, data: 'new' }] })
    expect(await raw.text(`${fences}/a%2Fb %F0%9F%94%92`)).toBe(lease.token.toString())
    await memory.close()
  })

  it('takes paths below the chroot, and gives them back so', async () => {
    const fence = zookeeperFence(open(`${server.connectString}${root}`))
    const path = node.slice(root.length)
    const lease = { resource, token: token(1n) }
    const operations: FenceOperation[] = [
      { kind: 'set', path, data: 'new' },
      { kind: 'create', path: `${path}/child` },
    ]
    const [, created] = await fence.apply({ lease, operations })
    expect(created).toEqual({ kind: 'create', path: `${path}/child` })
    expect(await raw.text(node)).toBe('new')
    await raw.remove(`${node}/child`)
  })

  it('says that nobody knows when the answer of a transaction is lost, and goes on after that', async () => {
    const proxy = await proxied()
    const fence = zookeeperFence(open(proxy.connectString))
    await write(fence, 1n)
    proxy.cutMidReply(3)
    await expect(write(fence, 2n)).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    await write(fence, 2n, 'after')
    expect(await raw.text(node)).toBe('after')
  })

  it('says the same when the answer does not come in time, but not when the fence could not even be read', async () => {
    await using mute = await new FakeServer(() => undefined).listen()
    await using mayRead = await new FakeServer(opcode =>
      opcode === OPCODE.getData ? { code: -101 } : undefined,
    ).listen()
    const fenceAt = ({ connectString }: FakeServer): ZooKeeperFence => {
      const backend = zookeeperBackend({ connect: connectString, operationTimeoutMs: 100 })
      onTestFinished(() => backend.close())
      return zookeeperFence(backend)
    }
    await expect(write(fenceAt(mute), 1n)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    await expect(write(fenceAt(mayRead), 1n)).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    await expect(fenceAt(mayRead).raise({ resource, token: token(1n) })).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
    })
  })

  it('raises all the same when an answer is lost', async () => {
    const proxy = await proxied()
    const fence = zookeeperFence(open(proxy.connectString))
    await fence.raise({ resource, token: token(1n) })
    proxy.cutMidReply(3)
    await fence.raise({ resource, token: token(2n) })
    expect(await raw.text(`${fences}/${resource}`)).toBe(token(2n).toString())
  })
})

describe('zookeeperFence refuses', () => {
  const lease = { resource: 'r', token: token(1n) }
  const operation: FenceOperation = { kind: 'delete', path: '/x' }

  it.each([undefined, {}, { backend: {} }, memoryBackend()])('%o as a backend', backend => {
    expect(() => zookeeperFence(backend as never)).toThrow('Expected a backend that `zookeeperBackend` made')
  })

  it('an option that it does not have', () => {
    expect(() => zookeeperFence({ backend: open(), rot: '/x' } as never)).toThrow('Unknown option `rot`')
  })

  it.each([
    [undefined, 'options of apply'],
    [{ lease, operations: [operation], more: 1 }, 'Unknown option `more`'],
    [{ operations: [operation] }, 'Expected `lease` to be a lease, or { resource, token }, got undefined.'],
    [{ lease: { resource: '', token: token(1n) }, operations: [operation] }, 'Expected `resource` to be a name'],
    [
      { lease: { resource: 'r', token: 1n }, operations: [operation] },
      'Expected `token` to be a FencingToken, got 1n.',
    ],
    [{ lease, operations: [] }, 'Expected `operations` to be a list of at least one'],
    [{ lease, operations: [null] }, 'Expected `operations[0]`'],
    [
      { lease, operations: [operation, { kind: 'delete', path: 'x' }] },
      'Expected `operations[1].path` to be like /stock/42, got "x".',
    ],
    [{ lease, operations: [{ kind: 'drop', path: '/x' }] }, 'Expected `operations[0].kind`'],
    [
      { lease, operations: [{ kind: 'set', path: '/x' }] },
      'Expected `operations[0].data` to be bytes or text, got undefined.',
    ],
    [{ lease, operations: [{ kind: 'set', path: '/x', data: '', version: -1 }] }, 'Expected `operations[0].version`'],
  ])('%o: %s', async (request, sentence) => {
    const fence = zookeeperFence(zookeeperBackend({ connect: '127.0.0.1:1' }))
    const applied = fence.apply(request as ApplyRequest)
    await expect(applied).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
    await expect(applied).rejects.toThrow(sentence)
  })

  it('more than the server would take', async () => {
    const fence = zookeeperFence(zookeeperBackend({ connect: '127.0.0.1:1' }))
    const operations: FenceOperation[] = [{ kind: 'set', path: '/x', data: 'x'.repeat(900_001) }]
    await expect(fence.apply({ lease, operations })).rejects.toThrow('at most 900000 bytes together, got 900003.')
  })
})
