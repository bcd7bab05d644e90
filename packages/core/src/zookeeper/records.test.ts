// Records in ZooKeeper, on a real server: what the conformance suite does not ask.
import { randomUUID } from 'node:crypto'
import { sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CommitOutcome, DirectoryRead, EphemeralRequest, RecordChange } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { recordDirectory } from './paths.ts'
import { RawClient, call } from './raw-client.fixture.ts'

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

function requestOf(directory: string, owner: string, text: string): EphemeralRequest {
  return { directory, id: 'a/b~c', owner, value: Buffer.from(text), ttlMs: undefined }
}

async function texts(backend: ZooKeeperBackend, directory: string): Promise<Record<string, string>> {
  const read = await backend.records.read({ directory })
  return Object.fromEntries(
    [...presentIn(read).records.values()].map(({ id, value }) => [id, Buffer.from(value).toString()]),
  )
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

  it('that supposes of unseen records what is not so looks, and answers as if it had known', async () => {
    const [other, backend] = [open(), open()]
    const directory = randomUUID()
    const made = await commit(other, directory, [put('x', '1')])
    const see = () => backend.records.read({ directory, ids: ['y'] })
    await see()
    expect(await commit(backend, directory, [put('x', '2', 'absent')])).toEqual({
      kind: 'conflict',
      conflicts: [
        { id: 'x', expected: 'absent', actual: { version: made.kind === 'committed' && made.revision.commit } },
      ],
    })
    await see()
    expect((await commit(backend, directory, [{ kind: 'delete', id: 'z' }, put('w', '1', 'absent')])).kind).toBe(
      'committed',
    )
    await see()
    expect((await commit(backend, directory, [{ kind: 'delete', id: 'x' }, put('v', '1', 'absent')])).kind).toBe(
      'committed',
    )
    expect(await texts(backend, directory)).toEqual({ w: '1', v: '1' })
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

describe('Racing first commits', () => {
  it('have exactly one winner each, also where somebody had joined before and the version is 0', async () => {
    const backends = Array.from({ length: 4 }, () => open())
    for (let round = 1; round <= 200; round++) {
      const directory = `race-${round}`
      const joined = backends[round % 4]
      if (round % 2 === 0) await joined?.records.join(requestOf(directory, `${round}`, 'here'))
      const changes = [put('head', `${round}`, 'absent')]
      const outcomes = await Promise.all(backends.map(backend => commit(backend, directory, changes)))
      const winners = outcomes.flatMap(outcome => (outcome.kind === 'committed' ? [outcome.revision] : []))
      expect(winners).toHaveLength(1)
      const reads = await Promise.all(backends.map(backend => backend.records.read({ directory })))
      for (const read of reads) expect(presentIn(read).revision).toEqual(winners[0])
    }
  })

  it('would have several with transactions of the driver, which takes version 0 for any', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(server.connectString)))
    onTestFinished(() => clients.forEach(client => client.close()))
    const node = await raw.create(`${root}/driver-race`, 'nobody')
    const outcomes = await Promise.allSettled(
      clients.map(({ client }, index) =>
        call(done =>
          client
            .transaction()
            .setData(node, Buffer.from(String(index)), 0)
            .commit(done),
        ),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(Array<string>(4).fill('fulfilled'))
  })
})

describe('Commits to one record', () => {
  it('lose no update, however many race', async () => {
    const backends = Array.from({ length: 4 }, () => open())
    const directory = randomUUID()
    const increment = async (backend: ZooKeeperBackend): Promise<void> => {
      for (;;) {
        const read = await backend.records.read({ directory, ids: ['count'] })
        const record = read.kind === 'present' ? read.records.get('count') : undefined
        const count = record === undefined ? 0 : Number(Buffer.from(record.value).toString())
        const expect = record === undefined ? 'absent' : { version: record.version }
        const outcome = await commit(backend, directory, [put('count', String(count + 1), expect)])
        if (outcome.kind === 'committed') return
      }
    }
    const work = async (backend: ZooKeeperBackend): Promise<void> => {
      for (let turn = 0; turn < 25; turn++) await increment(backend)
    }
    await Promise.all(backends.map(work))
    const read = presentIn(await open().records.read({ directory }))
    expect(read.revision.number).toBe(100)
    expect(Buffer.from(read.records.get('count')?.value ?? []).toString()).toBe('100')
  })

  it('that expect nothing all happen', async () => {
    const backends = Array.from({ length: 4 }, () => open())
    const directory = randomUUID()
    await Promise.all(backends.map((backend, index) => commit(backend, directory, [put(`record-${index}`, 'x')])))
    expect(Object.keys(await texts(open(), directory))).toHaveLength(4)
  })
})

describe('A directory', () => {
  it('of any name holds records of any name, each at a node of its own', async () => {
    const backend = open()
    const names = [
      'a',
      'a/b',
      '/',
      '//',
      '.',
      '..',
      'a/../b',
      '%ephemerals',
      '%65phemerals',
      '%history-x',
      'zookeeper',
      'ü~\u{1f600}',
      'x\ufffe',
      '~',
      ' ',
    ]
    for (const directory of names)
      await commit(
        backend,
        directory,
        names.map(id => put(id, `${directory} ${id}`)),
      )
    for (const directory of names) {
      expect(await texts(backend, directory)).toEqual(Object.fromEntries(names.map(id => [id, `${directory} ${id}`])))
    }
  })

  it('whose node somebody else wrote to is refused, and left as it is', async () => {
    const backend = open()
    await commit(backend, 'foreign', [put('a', '1')])
    const path = recordDirectory({ base: root }, 'foreign')
    await raw.write(path, 'something else')
    await expect(backend.records.read({ directory: 'foreign' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(commit(backend, 'foreign', [put('a', '2')])).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(await raw.text(path)).toBe('something else')
    expect(internalsOf(backend).sessions.current.connections).toBe(1)
  })
})

describe('An ephemeral record', () => {
  it('is seen, changed and ended by its owner, and of two owners the later one has it', async () => {
    const backend = open()
    const { records } = backend
    const directory = randomUUID()
    const one = requestOf(directory, 'one', '1')
    const other = requestOf(directory, 'other', '2')
    const seen = async (): Promise<string[]> => {
      const { ephemerals } = presentIn(await records.read({ directory, ephemerals: true }))
      return [...ephemerals.values()].map(({ id, owner, value }) => `${id} ${owner} ${Buffer.from(value).toString()}`)
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
      // Behind the request that sets the watch again: what changes before that one arrives is for who reads to see, and told no more.
      await records.read({ directory })
    }
    const request = requestOf(directory, 'one', '1')
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

it('A commit that others overtake 60 times happens after all (seen: of a burst one was told that too many had followed)', async () => {
  const backend = open({ operationTimeoutMs: 20_000 })
  const directory = randomUUID()
  await commit(backend, directory, [put('a', '0')])
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, index) => commit(backend, directory, [put(`r${index}`, 'x')])),
  )
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['committed']))
  expect(presentIn(await backend.records.read({ directory })).revision.number).toBe(61)
})
