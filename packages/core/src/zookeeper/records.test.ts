// Records in ZooKeeper, on a real server: what the conformance suite does not ask.
import { randomUUID } from 'node:crypto'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CommitOutcome, DirectoryRead, RecordChange } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { recordDirectory } from './paths.ts'
import { RawClient } from './raw-client.fixture.ts'

const server = await sharedZooKeeper()
const root = `/holdfast-records-${randomUUID()}`
let raw: RawClient

beforeAll(async () => {
  raw = await RawClient.connect(server.connectString)
})

afterAll(async () => {
  await raw.removeTree(root)
  raw.close()
  await server.stop()
})

function open(options: Partial<ZooKeeperBackendOptions> = {}): ZooKeeperBackend {
  const backend = zookeeperBackend({ connect: server.connectString, root, sessionTimeoutMs: 5_000, ...options })
  onTestFinished(() => backend.close())
  return backend
}

function commit(
  { records }: ZooKeeperBackend,
  directory: string,
  changes: readonly RecordChange[],
  commitId: string = records.newId(),
): Promise<CommitOutcome> {
  return records.commit({ directory, commitId, changes })
}

function put(id: string, text: string, expect?: 'absent' | { readonly version: string }): RecordChange {
  return { kind: 'put', id, value: Buffer.from(text), ...(expect === undefined ? {} : { expect }) }
}

async function texts(backend: ZooKeeperBackend, directory: string): Promise<Record<string, string>> {
  const read = await backend.records.read({ directory })
  return Object.fromEntries([...presentIn(read).records.values()].map(({ id, value }) => [id, Buffer.from(value).toString()]))
}

function presentIn(read: DirectoryRead): DirectoryRead & { readonly kind: 'present' } {
  if (read.kind !== 'present') throw new Error(`It is ${read.kind}.`)
  return read
}

describe('A commit', () => {
  it('is read as it was written', async () => {
    const backend = open()
    const directory = randomUUID()
    expect(await backend.records.read({ directory })).toEqual({ kind: 'missing' })
    const first = await commit(backend, directory, [put('a', '1'), put('b', '2')])
    expect(first).toMatchObject({ kind: 'committed', revision: { number: 1 } })
    const second = await commit(backend, directory, [put('a', '3'), { kind: 'delete', id: 'b' }])
    expect(second).toMatchObject({ kind: 'committed', revision: { number: 2 } })
    expect(await texts(backend, directory)).toEqual({ a: '3' })
    const read = presentIn(await backend.records.read({ directory }))
    expect({ revision: read.revision, committedAtMs: read.committedAtMs }).toEqual({
      revision: second.kind === 'committed' && second.revision,
      committedAtMs: second.kind === 'committed' && second.committedAtMs,
    })
    expect(await backend.records.read({ directory, unless: read.stamp })).toEqual({ kind: 'unchanged' })
  })

  it('that is sent again is answered the same, until 32 others came in between', async () => {
    const backend = open()
    const directory = randomUUID()
    const id = backend.records.newId()
    const first = await commit(backend, directory, [put('a', '1', 'absent')], id)
    for (let count = 1; count <= 31; count++) await commit(backend, directory, [put('b', String(count))])
    expect(await commit(backend, directory, [put('a', '1', 'absent')], id)).toEqual(first)
    await commit(backend, directory, [put('b', 'last')])
    await expect(commit(backend, directory, [put('a', '1', 'absent')], id)).rejects.toMatchObject({
      code: 'HF_UNKNOWN_OUTCOME',
    })
  })

  it('of the largest record, and of the most bytes in the most changes, goes through; a byte more is refused', async () => {
    const backend = open()
    const directory = randomUUID()
    const { recordBytesMax, commitBytesMax, commitChangesMax } = RECORD_LIMITS
    const record = Buffer.alloc(recordBytesMax, 'x')
    expect(await commit(backend, directory, [{ kind: 'put', id: 'a', value: record }])).toMatchObject({
      kind: 'committed',
    })
    const many = (extra: number): RecordChange[] =>
      Array.from({ length: commitChangesMax }, (_, index) => {
        const id = `${String(index).padStart(3, '0')}${'/'.repeat(197)}`
        return {
          kind: 'put',
          id,
          value: Buffer.alloc(commitBytesMax / commitChangesMax - id.length + (index === 0 ? extra : 0)),
        }
      })
    expect(await commit(backend, directory, many(0))).toMatchObject({ kind: 'committed' })
    expect(presentIn(await backend.records.read({ directory })).records.size).toBe(commitChangesMax + 1)
    await expect(commit(backend, directory, many(1))).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
    const tooLarge: RecordChange = { kind: 'put', id: 'a', value: Buffer.alloc(recordBytesMax + 1) }
    await expect(commit(backend, directory, [tooLarge])).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})

describe('An ephemeral record', () => {
  it('is seen, changed and ended by its owner, and of two owners the later one has it', async () => {
    const backend = open()
    const { records } = backend
    const directory = randomUUID()
    const request = (owner: string, text: string): Parameters<typeof records.join>[0] => ({
      directory,
      id: 'a/b~c',
      owner,
      value: Buffer.from(text),
      ttlMs: undefined,
    })
    const one = request(records.newId(), '1')
    const other = request(records.newId(), '2')
    const seen = async (): Promise<string[]> => {
      const { ephemerals } = presentIn(await records.read({ directory, ephemerals: true }))
      return [...ephemerals.values()].map(
        ({ id, owner, value }) => `${id} ${owner === one.owner ? 'one' : 'other'} ${Buffer.from(value).toString()}`,
      )
    }
    const stay = await records.join(one)
    expect(stay.ttlMs).toBe(5_000)
    expect(stay.deadline.remainingMs()).toBeGreaterThan(1_000)
    expect(await records.read({ directory })).toMatchObject({ kind: 'present', revision: { number: 0 } })
    expect(await records.beat(one)).toMatchObject({ kind: 'kept' })
    expect(await records.beat(one, Buffer.from('11'))).toMatchObject({ kind: 'kept' })
    expect(await seen()).toEqual(['a/b~c one 11'])
    await records.join(other)
    expect(await seen()).toEqual(['a/b~c other 2'])
    expect(await records.beat(one, Buffer.from('late'))).toEqual({ kind: 'replaced' })
    expect(await records.leave(one)).toBe('lost')
    expect(await seen()).toEqual(['a/b~c other 2'])
    await records.join({ ...other, value: Buffer.from('22') })
    expect(await seen()).toEqual(['a/b~c other 22'])
    expect(await records.leave(other)).toBe('left')
    expect(await seen()).toEqual([])
    expect(await records.beat(other)).toEqual({ kind: 'gone' })
  })
})

describe('A listener', () => {
  it('hears of commits and of ephemeral records, those of a directory that is yet to come included, and leaves nothing', async () => {
    const backend = open()
    const other = open()
    const { records } = backend
    const directory = randomUUID()
    const heard: string[] = []
    const subscription = records.listen(directory, {
      changed: () => heard.push('changed'),
      live: () => heard.push('live'),
      down: () => heard.push('down'),
    })
    await vi.waitFor(() => expect(heard).toEqual(['live']))
    const hears = async (action: () => Promise<unknown>): Promise<void> => {
      heard.length = 0
      await action()
      await vi.waitFor(() => expect(heard).toContain('changed'))
      expect(new Set(heard)).toEqual(new Set(['changed']))
    }
    const request = { directory, id: 'a', owner: records.newId(), value: Buffer.from('1'), ttlMs: undefined }
    await hears(() => commit(other, directory, [put('a', '1')]))
    await hears(() => commit(other, directory, [put('a', '2')]))
    await hears(() => other.records.join(request))
    await hears(() => other.records.beat(request, Buffer.from('2')))
    await hears(() => other.records.leave(request))
    await hears(() => raw.removeTree(recordDirectory({ base: root }, directory)))
    await hears(() => commit(other, directory, [put('a', '1')]))
    subscription.close()
    expect(internalsOf(backend).sessions.current.watches.size).toBe(0)
  })
})
