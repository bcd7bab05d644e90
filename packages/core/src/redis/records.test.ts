import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { CommitOutcome, DirectoryRead, RecordChange, RecordStore } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import type { FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { directoryKeys } from './keys.ts'

let server: RedisServer
let admin: Redis
let backend: Backend
let records: RecordStore
let directory: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

beforeEach(() => {
  opened = []
  directory = randomUUID()
  backend = opening(server.url)
  records = backend.records
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

function opening(url: string, commandTimeoutMs = 2_000): Backend {
  const made = redisBackend({ url, commandTimeoutMs })
  opened.push(() => made.close())
  return made
}

async function proxied(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  opened.push(() => proxy.close())
  return proxy
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const put = (id: string, text: string): RecordChange => ({ kind: 'put', id, value: bytes(text) })

function commit(...changes: readonly RecordChange[]): Promise<CommitOutcome> {
  return records.commit({ directory, commitId: records.newId(), changes })
}

async function present(ids?: readonly string[]): Promise<DirectoryRead & { kind: 'present' }> {
  const read = await records.read({ directory, ephemerals: true, ...(ids === undefined ? {} : { ids }) })
  if (read.kind !== 'present') throw new Error(`Expected the directory to be present, got ${read.kind}.`)
  return read
}

describe('Values in Redis', () => {
  it('are any bytes, from none to half a mebibyte', async () => {
    const values = new Map([
      ['empty', new Uint8Array()],
      ['all', Uint8Array.from({ length: 256 }, (_, index) => index)],
      ['largest', new Uint8Array(RECORD_LIMITS.recordBytesMax).fill(0xff)],
      ['part of a bigger buffer', bytes('0123456789').subarray(3, 5)],
    ])
    await commit(...[...values].map(([id, value]) => ({ kind: 'put', id, value }) as const))
    for (const read of [await present(), await present([...values.keys()])]) {
      expect(new Map([...read.records].map(([id, { value }]) => [id, value]))).toEqual(values)
    }
  })

  it('are those of the moment of the call, though they are sent later', async () => {
    const value = bytes('before')
    const committing = commit({ kind: 'put', id: 'a', value })
    value.fill(0)
    await committing
    expect((await present()).records.get('a')?.value).toEqual(bytes('before'))
  })

  it('of ephemeral records are any bytes as well', async () => {
    const value = Uint8Array.from({ length: 256 }, (_, index) => 255 - index)
    const owner = records.newId()
    await records.join({ directory, id: 'é{}', owner, value, ttlMs: undefined })
    expect((await present()).ephemerals.get('é{}')).toEqual({ id: 'é{}', value, owner })
  })

  it('are read by clients with any reply options', async () => {
    await commit(put('a', 'ä'))
    await records.join({ directory, id: 'i', owner: records.newId(), value: bytes('x'), ttlMs: undefined })
    const expected = await present()
    for (const options of [{ protocol: 2 }, { stringNumbers: true }, { keyPrefix: '' }] as const) {
      const client = new Redis(server.url, options)
      opened.push(() => client.disconnect())
      const other = redisBackend({ client })
      opened.push(() => other.close())
      expect(await other.records.read({ directory, ephemerals: true })).toEqual(expected)
    }
  })
})

describe('A directory in Redis', () => {
  it('takes no more records than it may have, and says how many there would be', async () => {
    const { directoryRecordsMax, commitChangesMax } = RECORD_LIMITS
    const fields = Array.from({ length: directoryRecordsMax - 2 }, (_, index) => [`r:x${index}`, 'v'.repeat(22)])
    await commit(put('a', '1'))
    await admin.hset(directoryKeys('hf', directory).records, ...fields.flat())
    expect(await commit(put('b', '1'))).toMatchObject({ kind: 'committed' })
    await expect(commit(put('a', '2'), put('c', '1'))).rejects.toMatchObject({
      code: 'HF_REFUSED',
      message: `A directory has at most ${directoryRecordsMax} records; this one would have ${directoryRecordsMax + 1}.`,
    })
    expect(await commit(put('a', '2'), put('b', '2'))).toMatchObject({ kind: 'committed' })
    expect(await commit({ kind: 'delete', id: 'b' }, put('c', '1'))).toMatchObject({ kind: 'committed' })
    const deletes = Array.from(
      { length: commitChangesMax },
      (_, index) => ({ kind: 'delete', id: `x${index}` }) as const,
    )
    expect(await commit(...deletes)).toMatchObject({ kind: 'committed' })
  })

  it('keeps its history when a first commit comes after ephemeral records', async () => {
    await records.join({ directory, id: 'i', owner: records.newId(), value: bytes('x'), ttlMs: undefined })
    const before = await present()
    expect(before.revision).toEqual({ history: before.revision.history, number: 0, commit: before.revision.history })
    const outcome = await commit(put('a', '1'))
    expect(outcome).toMatchObject({ revision: { history: before.revision.history, number: 1 } })
  })

  it('has another history after FLUSHALL, and remembers no commit of the old one', async () => {
    const commitId = records.newId()
    const first = await records.commit({ directory, commitId, changes: [put('a', '1')] })
    await admin.flushall()
    expect(await records.read({ directory })).toEqual({ kind: 'missing' })
    const again = await records.commit({ directory, commitId, changes: [put('a', '1')] })
    if (first.kind !== 'committed' || again.kind !== 'committed') throw new Error('Expected two commits.')
    expect(again.revision.history).not.toBe(first.revision.history)
    expect(again.revision.number).toBe(1)
  })

  it('whose records alone were deleted takes no old commit for one of the new history', async () => {
    const commitId = records.newId()
    await records.commit({ directory, commitId, changes: [put('a', '1')] })
    await commit(put('a', '2'))
    await admin.del(directoryKeys('hf', directory).records)
    await commit(put('a', '3'))
    expect(await records.commit({ directory, commitId, changes: [put('a', '4')] })).toMatchObject({
      kind: 'committed',
      revision: { number: 2 },
    })
  })

  it('has one winner of the first commit, in each of 200 rounds of four clients', async () => {
    const stores = [records, ...[1, 2, 3].map(() => opening(server.url).records)]
    for (let round = 0; round < 200; round += 1) {
      const name = `${directory}-${round}`
      const outcomes = await Promise.all(
        stores.map((store, index) =>
          store.commit({
            directory: name,
            commitId: store.newId(),
            changes: [{ kind: 'put', id: 'head', value: bytes(String(index)), expect: 'absent' }],
          }),
        ),
      )
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['committed', 'conflict', 'conflict', 'conflict'])
      const read = await records.read({ directory: name })
      const winner = outcomes.findIndex(({ kind }) => kind === 'committed')
      expect(read.kind === 'present' && read.records.get('head')?.value).toEqual(bytes(String(winner)))
    }
  })
})

describe('On the wire', () => {
  it('a commit is one request, a read one, and a check that nothing has changed about a hundred bytes', async () => {
    const proxy = await proxied()
    const store = opening(proxy.redisUrl).records
    await store.commit({ directory, commitId: store.newId(), changes: [put('a', 'x'.repeat(10_000))] })
    proxy.resetCounts()
    await store.commit({ directory, commitId: store.newId(), changes: [put('a', 'y'.repeat(10_000))] })
    expect(proxy.requests).toBe(1)
    const read = await store.read({ directory, ids: ['a'] })
    expect(proxy.requests).toBe(2)
    if (read.kind !== 'present') throw new Error('Expected it to be present.')
    proxy.resetCounts()
    expect(await store.read({ directory, ids: ['a'], unless: read.stamp })).toEqual({ kind: 'unchanged' })
    expect(proxy.requests).toBe(1)
    expect(proxy.bytesToServer).toBeLessThan(100)
    expect(proxy.bytesToClient).toBeLessThan(100)
  })

  it('a read after a notice of a commit is one request, though it has a stamp', async () => {
    const proxy = await proxied()
    const store = opening(proxy.redisUrl).records
    await commit(put('a', '1'))
    const heard: (string | undefined)[] = []
    const isLive = new Promise<void>(resolve => {
      store.listen(directory, { live: resolve, down: () => {}, changed: id => heard.push(id) })
    })
    const first = await store.read({ directory })
    if (first.kind !== 'present') throw new Error('Expected it to be present.')
    await isLive
    const outcome = await commit(put('a', '2'))
    await expect.poll(() => heard.length).toBe(1)
    expect(outcome).toMatchObject({ revision: { commit: heard[0] } })
    proxy.resetCounts()
    expect(await store.read({ directory, unless: first.stamp })).toMatchObject({ kind: 'present' })
    expect(proxy.requests).toBe(1)
  })
})

describe('A commit whose connection breaks', () => {
  it('is sent again, and happened once', async () => {
    const proxy = await proxied()
    const store = opening(proxy.redisUrl).records
    await store.commit({ directory, commitId: store.newId(), changes: [put('a', '1')] })
    proxy.cutMidReply(3)
    const outcome = await store.commit({ directory, commitId: store.newId(), changes: [put('a', '2')] })
    expect(outcome).toMatchObject({ kind: 'committed', revision: { number: 2 } })
    expect((await present()).revision.number).toBe(2)
  })

  it('and is not answered in time is of unknown outcome; one that was never sent did not happen', async () => {
    const proxy = await proxied()
    const store = opening(proxy.redisUrl, 300).records
    await store.commit({ directory, commitId: store.newId(), changes: [put('a', '1')] })
    proxy.hold({ direction: 'to-client' })
    const sent = store.commit({ directory, commitId: store.newId(), changes: [put('a', '2')] })
    await expect(sent).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    expect((await present()).revision.number).toBe(2)
    proxy.refuse()
    proxy.dropConnections()
    const never = store.commit({ directory, commitId: store.newId(), changes: [put('a', '3')] })
    await expect(never).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
    expect((await present()).revision.number).toBe(2)
  })

  it('is of unknown outcome when it was forgotten', async () => {
    const commitId = records.newId()
    await records.commit({ directory, commitId, changes: [put('a', '1')] })
    for (let count = 0; count < 31; count += 1) await commit(put('a', String(count)))
    const again = { directory, commitId, changes: [put('a', '1')] }
    expect(await records.commit(again)).toMatchObject({ kind: 'committed', revision: { number: 1 } })
    await commit(put('a', 'last'))
    await expect(records.commit(again)).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
  })
})

describe('A server that comes back', () => {
  it('empty is heard of, and its directories are missing, though grants are still held back', async () => {
    const own = await startRedis()
    opened.push(() => own.stop())
    const other = redisBackend({ url: own.url, maxClockSkewMs: 20_000 })
    opened.push(() => other.close())
    const heard: string[] = []
    const listener = {
      live: () => heard.push('live'),
      down: () => heard.push('down'),
      changed: () => heard.push('changed'),
    }
    opened.push(other.records.listen(directory, listener).close)
    await expect.poll(() => heard).toEqual(['live'])
    const first = { directory, commitId: other.records.newId(), changes: [put('a', '1')] }
    await other.records.commit(first)
    await expect.poll(() => heard).toEqual(['live', 'changed'])
    await own.restart({ keepData: false })
    expect(await other.records.read({ directory })).toEqual({ kind: 'missing' })
    await expect.poll(() => heard.slice(2)).toEqual(['down', 'live'])
    expect(await other.records.commit({ ...first, commitId: other.records.newId() })).toMatchObject({
      kind: 'committed',
      revision: { number: 1 },
    })
    await expect.poll(() => heard.at(-1)).toBe('changed')
  })
})

describe('A client with a prefix of its own', () => {
  it('keeps apart what it writes, and hears of it', async () => {
    const client = new Redis(server.url, { keyPrefix: 'mine:' })
    opened.push(() => client.disconnect())
    const other = redisBackend({ client })
    opened.push(() => other.close())
    const heard: (string | undefined)[] = []
    const isLive = new Promise<void>(resolve => {
      opened.push(
        other.records.listen(directory, { live: resolve, down: () => {}, changed: id => heard.push(id) }).close,
      )
    })
    await isLive
    const commitId = records.newId()
    await other.records.commit({ directory, commitId, changes: [put('a', '1')] })
    await expect.poll(() => heard).toEqual([commitId])
    expect(await records.read({ directory })).toEqual({ kind: 'missing' })
    expect(await admin.exists(`mine:${directoryKeys('hf', directory).records}`)).toBe(1)
  })

  it('is well again once it answers, after it was silent', async () => {
    const proxy = await proxied()
    const client = new Redis(proxy.redisUrl)
    opened.push(() => client.disconnect())
    const other = redisBackend({ client, commandTimeoutMs: 2_000 })
    opened.push(() => other.close())
    await other.ready()
    proxy.hold()
    await expect(other.records.read({ directory })).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(other.health.current.kind).toBe('suspended')
    proxy.heal()
    expect(await other.records.read({ directory })).toEqual({ kind: 'missing' })
    expect(other.health.current.kind).toBe('ready')
  })
})

describe('On a Redis that is out of memory', () => {
  afterEach(async () => {
    await admin.config('SET', 'maxmemory', '0')
  })

  it('nothing is committed, not even a part; what is there can be read, and who is there stays', async () => {
    await commit(put('a', '1'), put('b', '1'))
    const joined = { directory, id: 'i', owner: records.newId(), value: bytes('x'), ttlMs: 60_000 }
    await records.join(joined)
    await admin.config('SET', 'maxmemory', '1mb')
    await expect(commit(put('a', '2'), { kind: 'delete', id: 'b' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect([...(await present()).records.keys()].sort()).toEqual(['a', 'b'])
    expect(await records.beat(joined)).toMatchObject({ kind: 'kept' })
    expect(await records.leave(joined)).toBe('left')
  })
})
