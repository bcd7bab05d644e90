// What becomes of records when links break and sessions end.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CommitOutcome, DirectoryRead, EphemeralRequest, RecordChange } from '../ports/records.ts'
import { seededRandom } from '../random.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { ephemeralsPath, recordDirectory } from './paths.ts'
import { RawClient } from './raw-client.fixture.ts'

let server: ZooKeeperServer

beforeAll(async () => {
  server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
})

afterAll(() => server.stop())

interface Opened {
  readonly backend: ZooKeeperBackend
  readonly proxy: FaultProxy
}

async function open(options: Partial<ZooKeeperBackendOptions> = {}): Promise<Opened> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  const backend = zookeeperBackend({ connect: proxy.connectString, sessionTimeoutMs: 12_000, ...options })
  onTestFinished(() => backend.close())
  await backend.ready()
  return { backend, proxy }
}

function commit({ records }: ZooKeeperBackend, directory: string, changes: RecordChange[]): Promise<CommitOutcome> {
  return records.commit({ directory, commitId: records.newId(), changes })
}

function put(id: string, text: string): RecordChange {
  return { kind: 'put', id, value: Buffer.from(text) }
}

function textsIn(read: DirectoryRead): readonly string[] {
  return read.kind === 'present' ? [...read.records.values()].map(({ value }) => Buffer.from(value).toString()) : []
}

function requestOf({ records }: ZooKeeperBackend, directory: string): EphemeralRequest {
  return { directory, id: 'a', owner: records.newId(), value: Buffer.from('here'), ttlMs: undefined }
}

describe('A commit', () => {
  it('whose answer was cut off happens once and is answered, wherever the cut was', async () => {
    const { backend, proxy } = await open()
    const directory = randomUUID()
    const rounds = 40
    for (let round = 1; round <= rounds; round++) {
      const committing = commit(backend, directory, [put('a', `${round}`)])
      // The reads, the transaction, and what is between them.
      proxy.cutMidReply(round % 2 === 0 ? 0 : 90 + round * 7)
      expect(await committing).toMatchObject({ kind: 'committed', revision: { number: round } })
    }
    expect(proxy.accepted).toBeGreaterThan(rounds / 2)
  })

  it('that was sent and never answered has an unknown outcome; sent again it is told what became of it', async () => {
    const { backend, proxy } = await open({ operationTimeoutMs: 2_000 })
    const { records } = backend
    const directory = randomUUID()
    await commit(backend, directory, [put('a', '1')])
    const again = { directory, commitId: records.newId(), changes: [put('a', '2')] }
    // It has just committed there, so the transaction is the first that it sends.
    proxy.hold({ direction: 'to-client' })
    await expect(records.commit(again)).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    proxy.heal()
    expect(await records.commit(again)).toMatchObject({ kind: 'committed', revision: { number: 2 } })
  })

  it('that could not be sent is unavailable, and never happens later', async () => {
    const { backend, proxy } = await open({ operationTimeoutMs: 2_000 })
    const directory = randomUUID()
    await commit(backend, directory, [put('a', '1')])
    proxy.refuse()
    proxy.dropConnections()
    await vi.waitUntil(() => backend.health.current.kind === 'suspended')
    await expect(commit(backend, directory, [put('a', '2')])).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
    await backend.ready({ timeoutMs: 60_000 })
    await sleep(200)
    expect(textsIn(await backend.records.read({ directory }))).toEqual(['1'])
  })
})

describe('A read', () => {
  it('beside commits and cuts is of one revision, and never goes back', async () => {
    const random = seededRandom(7)
    const writer = await open()
    const reader = await open()
    const directory = randomUUID()
    const ids = Array.from({ length: 12 }, (_, index) => `record-${index}`)
    const write = (text: string): Promise<CommitOutcome> =>
      commit(
        writer.backend,
        directory,
        ids.map(id => put(id, text)),
      )
    await write('0')
    let isDone = false
    let reads = 0
    let newest = 0
    const read = async (request: { readonly ids?: readonly string[] }): Promise<void> => {
      while (!isDone) {
        const seen = new Set(textsIn(await reader.backend.records.read({ directory, ...request })))
        expect([...seen]).toHaveLength(1)
        const number = Number([...seen][0])
        expect(number).toBeGreaterThanOrEqual(newest)
        newest = number
        reads += 1
        if (random.next() < 0.05) reader.proxy.dropConnections()
      }
    }
    const reading = Promise.all([read({}), read({ ids })]).then(() => undefined)
    for (let round = 1; reads < 100; round++) await write(String(round))
    isDone = true
    await reading
  })
})

describe('An ephemeral record', () => {
  it('ends with its session: the owner hears `gone`, others see it go, and joining again helps', async () => {
    const { backend, proxy } = await open({ sessionTimeoutMs: 9_000 })
    const other = await open()
    const directory = randomUUID()
    const request = requestOf(backend, directory)
    const { deadline } = await backend.records.join(request)
    let changed = 0
    other.backend.records.listen(directory, { changed: () => (changed += 1), live: () => {}, down: () => {} })
    const isSeen = async (): Promise<boolean> => {
      const read = await other.backend.records.read({ directory, ephemerals: true })
      return read.kind === 'present' && read.ephemerals.size === 1
    }
    expect(await isSeen()).toBe(true)
    proxy.hold()
    await vi.waitUntil(() => deadline.remainingMs() <= 0)
    // Its owner gives it up before the store does.
    expect(await isSeen()).toBe(true)
    await vi.waitUntil(async () => !(await isSeen()))
    expect(changed).toBeGreaterThan(0)
    proxy.heal()
    expect(await backend.records.beat(request)).toEqual({ kind: 'gone' })
    await backend.records.join(request)
    expect(await isSeen()).toBe(true)
    expect(await backend.records.beat(request)).toMatchObject({ kind: 'kept' })
  })

  it('that is joined again in another session does not go with the one before', async () => {
    const { backend } = await open()
    const other = await open()
    const directory = randomUUID()
    const request = requestOf(backend, directory)
    await backend.records.join(request)
    await other.backend.records.join(request)
    await backend.close()
    expect(await other.backend.records.beat(request)).toMatchObject({ kind: 'kept' })
  })

  it('is joined once however often the answer is cut off, and left over a broken link as well', async () => {
    const { backend, proxy } = await open()
    const raw = await RawClient.connect(server.connectString)
    onTestFinished(() => raw.close())
    const directory = randomUUID()
    const parent = ephemeralsPath(recordDirectory({ base: '/holdfast' }, directory))
    for (let round = 0; round < 20; round++) {
      const request = requestOf(backend, directory)
      const joining = backend.records.join(request)
      proxy.cutMidReply(round * 5)
      await joining
      expect(await raw.children(parent)).toHaveLength(1)
      const leaving = backend.records.leave(request)
      proxy.cutMidReply(0)
      expect(await leaving).toBe('left')
      expect(await raw.children(parent)).toEqual([])
    }
  })

  it('of two who join at once is the one of the later, for all who read', async () => {
    const [one, other] = [await open(), await open()]
    for (let round = 0; round < 30; round++) {
      const directory = randomUUID()
      const requests = [requestOf(one.backend, directory), requestOf(other.backend, directory)] as const
      await Promise.all([one.backend.records.join(requests[0]), other.backend.records.join(requests[1])])
      const beats = [await one.backend.records.beat(requests[0]), await other.backend.records.beat(requests[1])]
      expect(beats.map(({ kind }) => kind).sort()).toEqual(['kept', 'replaced'])
      const read = await one.backend.records.read({ directory, ephemerals: true })
      const owner = requests[beats[0]?.kind === 'kept' ? 0 : 1].owner
      expect(read.kind === 'present' && [...read.ephemerals.values()].map(record => record.owner)).toEqual([owner])
    }
  })
})
