// Read and write credentials kept apart: a publisher, readers, and instances that report. On a server of its own.
import { inspect } from 'node:util'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { InvalidArgumentError, RefusedError } from '../errors.ts'
import type { CommitOutcome, DirectoryRead, EphemeralRequest } from '../ports/records.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import type { ZooKeeperAcl, ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { digestAcl, zookeeperBackend } from './index.ts'
import { FakeServer } from './fake-server.fixture.ts'

const PUBLISHER = 'publisher-secret'
const INSTANCE = 'instance-secret'
const READ: ZooKeeperAcl = { scheme: 'world', id: 'anyone', permissions: 'r' }
const publishing: Partial<ZooKeeperBackendOptions> = {
  auth: { scheme: 'digest', id: `publisher:${PUBLISHER}` },
  acl: [digestAcl('publisher', PUBLISHER, 'cdrwa'), READ],
  ephemeralsAcl: [digestAcl('publisher', PUBLISHER, 'cdrwa'), digestAcl('instance', INSTANCE, 'cdrw'), READ],
}
const reporting: Partial<ZooKeeperBackendOptions> = {
  auth: { scheme: 'digest', id: `instance:${INSTANCE}` },
  acl: [digestAcl('instance', INSTANCE, 'cdrwa'), READ],
}
let server: ZooKeeperServer

beforeAll(async () => {
  server = await startZooKeeper()
})

afterAll(() => server.stop())

function open(options: Partial<ZooKeeperBackendOptions> = {}): ZooKeeperBackend {
  const backend = zookeeperBackend({ connect: server.connectString, sessionTimeoutMs: 4_000, ...options })
  onTestFinished(() => backend.close())
  return backend
}

function commit({ records }: ZooKeeperBackend, directory: string, text: string): Promise<CommitOutcome> {
  const changes = [{ kind: 'put', id: 'a', value: Buffer.from(text) }] as const
  return records.commit({ directory, commitId: records.newId(), changes })
}

function requestOf({ records }: ZooKeeperBackend, directory: string): EphemeralRequest {
  return { directory, id: 'instance-1', owner: records.newId(), value: Buffer.from('ok'), ttlMs: undefined }
}

function textIn(read: DirectoryRead): string {
  if (read.kind !== 'present') return read.kind
  return Buffer.from(read.records.get('a')?.value ?? []).toString()
}

describe('A reader without credentials', () => {
  it('reads and listens, and what else he tries is refused and changes nothing', async () => {
    const [publisher, reader] = [open(publishing), open()]
    await commit(publisher, 'read', '1')
    const heard: string[] = []
    const subscription = reader.records.listen('read', {
      changed: () => heard.push('changed'),
      live: () => heard.push('live'),
      down: cause => heard.push(String(cause)),
    })
    await vi.waitFor(() => expect(heard).toEqual(['live']))
    const before = await reader.records.read({ directory: 'read', ephemerals: true })
    await expect(commit(reader, 'read', 'mine')).rejects.toBeInstanceOf(RefusedError)
    await expect(reader.records.join(requestOf(reader, 'read'))).rejects.toBeInstanceOf(RefusedError)
    await expect(commit(reader, 'new', 'mine')).rejects.toBeInstanceOf(RefusedError)
    await expect(reader.records.join(requestOf(reader, 'new'))).rejects.toBeInstanceOf(RefusedError)
    expect(await reader.records.read({ directory: 'read', ephemerals: true })).toEqual(before)
    expect(await reader.records.read({ directory: 'new' })).toEqual({ kind: 'missing' })
    expect(heard).toEqual(['live'])
    await commit(publisher, 'read', '2')
    await vi.waitFor(() => expect(heard).toContain('changed'))
    expect(textIn(await reader.records.read({ directory: 'read' }))).toBe('2')
    subscription.close()
  })

  it('has the same rights with a wrong password', async () => {
    const [publisher, other] = [
      open(publishing),
      open({ ...publishing, auth: { scheme: 'digest', id: 'publisher:no' } }),
    ]
    await commit(publisher, 'wrong', '1')
    await expect(commit(other, 'wrong', '2')).rejects.toBeInstanceOf(RefusedError)
    expect(textIn(await other.records.read({ directory: 'wrong' }))).toBe('1')
  })
})

describe('An instance', () => {
  it('joins, changes and leaves what the publisher and readers see, and commits nothing', async () => {
    const [publisher, instance, reader] = [open(publishing), open(reporting), open()]
    await commit(publisher, 'report', '1')
    const request = requestOf(instance, 'report')
    await instance.records.join(request)
    expect(await instance.records.beat(request)).toMatchObject({ kind: 'kept' })
    expect(await instance.records.beat(request, Buffer.from('applied'))).toMatchObject({ kind: 'kept' })
    for (const other of [publisher, reader]) {
      const read = await other.records.read({ directory: 'report', ephemerals: true })
      expect(read.kind === 'present' && [...read.ephemerals.values()]).toEqual([
        { id: request.id, owner: request.owner, value: new Uint8Array(Buffer.from('applied')) },
      ])
      await expect(reader.records.leave(request)).rejects.toBeInstanceOf(RefusedError)
    }
    await expect(commit(instance, 'report', 'mine')).rejects.toBeInstanceOf(RefusedError)
    expect(await instance.records.leave(request)).toBe('left')
  })
})

describe('Credentials', () => {
  it('are presented again on each connection, and in the session after a lost one', async () => {
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
    onTestFinished(() => proxy.close())
    const publisher = open({ ...publishing, connect: proxy.connectString, sessionTimeoutMs: 1_000 })
    await commit(publisher, 'again', '1')
    proxy.dropConnections()
    expect(await commit(publisher, 'again', '2')).toMatchObject({ kind: 'committed' })
    proxy.hold()
    await vi.waitFor(() => expect(publisher.health.current.kind).toBe('suspended'))
    await new Promise(resolve => setTimeout(resolve, 2_500))
    proxy.heal()
    expect(await commit(publisher, 'again', '3')).toMatchObject({ kind: 'committed', revision: { number: 3 } })
  })

  it('that the server does not take are refused at once, and not tried again', async () => {
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
    onTestFinished(() => proxy.close())
    const backend = open({ connect: proxy.connectString, auth: { scheme: 'nosuch', id: 'user:hush-hush' } })
    const heard: unknown[] = []
    backend.records.listen('refused', {
      changed: () => {},
      live: () => heard.push('live'),
      down: cause => heard.push(cause),
    })
    const errors = await Promise.all(
      [
        backend.ready(),
        backend.records.read({ directory: 'refused' }),
        commit(backend, 'refused', '1'),
        backend.records.join(requestOf(backend, 'refused')),
      ].map(call => call.then(String, (error: unknown) => error)),
    )
    for (const error of errors) {
      expect(error).toBeInstanceOf(RefusedError)
      expect((error as Error).message).toContain('AUTH_FAILED')
      expect(inspect(error, { depth: Infinity })).not.toContain('hush-hush')
    }
    expect(heard).toEqual([expect.any(RefusedError)])
    expect(backend.health.current).toMatchObject({ kind: 'suspended', cause: expect.any(RefusedError) as unknown })
    await expect(backend.ready()).rejects.toBeInstanceOf(RefusedError)
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(proxy.accepted).toBe(1)
  })

  it('stand in no object that is printed, and in no refusal of options', () => {
    const backend = open({ ...publishing, auth: { scheme: 'digest', id: 'user:hush-hush' } })
    expect(inspect(backend, { depth: Infinity, showHidden: true })).not.toContain('hush-hush')
    for (const auth of ['hush-hush', { scheme: 'digest', id: 'hush-hush' }, { scheme: 5, id: 'hush-hush' }, null]) {
      const refused = (): unknown => open({ auth: auth as never })
      expect(refused).toThrow(InvalidArgumentError)
      expect(refused).not.toThrow('hush-hush')
    }
  })

  it('that are not answered are tried over another connection', async () => {
    await using silent = await new FakeServer(() => undefined).listen()
    const connect = `${silent.connectString},${server.connectString}`
    const backend = open({ ...reporting, connect, sessionTimeoutMs: 2_000 })
    expect(await backend.records.read({ directory: 'unanswered' })).toEqual({ kind: 'missing' })
  })
})

describe('An access list', () => {
  it.each([
    [{ acl: [] }, 'acl'],
    [{ acl: [{ scheme: 'world', id: 'anyone', permissions: 'x' }] }, 'permissions'],
    [{ acl: [{ scheme: 'world', id: 'anyone', permissions: '' }] }, 'permissions'],
    [{ ephemeralsAcl: [{ id: 'anyone', permissions: 'r' }] }, 'ephemeralsAcl'],
    [{ ephemeralsAcl: 'world:anyone' }, 'ephemeralsAcl'],
  ])('of %j is refused', (options, argument) => {
    expect(() => open(options as never)).toThrow(argument)
  })

  it('of a user with a password holds a hash of both, as ZooKeeper makes it', () => {
    expect(digestAcl('super', 'admin', 'r')).toEqual({
      scheme: 'digest',
      id: 'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=',
      permissions: 'r',
    })
    expect(() => digestAcl('a:b', 'c', 'r')).toThrow(InvalidArgumentError)
  })
})
