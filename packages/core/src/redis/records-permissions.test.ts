/*
 * What restricted users of Redis need for records, with the prefix `hf` and for all directories. For one alone, write the name of
 * the directory in place of `*` between the braces (`{` `}` and `%` in it as `%7B`, `%7D` and `%25`).
 *
 * A reader: reads, listens, is told when ephemeral records end.
 *
 *   ACL SETUSER reader on >secret resetchannels &hf:dir:{*}:ch %R~hf:dir:{*} %R~hf:dir:{*}:e %R~hf:dir:{*}:d
 *     +hget +hmget +hgetall +time +zrange     reading
 *     +subscribe +unsubscribe                 listening
 *     +ping                                   ready(), and whether a link is still there
 *
 * An instance: also joins, beats and leaves. It cannot change a record.
 *
 *     … %RW~hf:dir:{*}:e %RW~hf:dir:{*}:d     in place of the read rights to them
 *     +evalsha +eval                          the steps of ephemeral records
 *     +hset +hdel +exists +zadd +zrem +zscore +zrangebyscore +publish   what they run
 *
 * A publisher: also commits.
 *
 *     … %RW~hf:dir:{*} %RW~hf:dir:{*}:c %R~hf:dir:{*}:e  (a script may only be given keys with all rights, so %RW~ as well)
 *     +evalsha +eval
 *     +hset +hdel +hlen +hexists +del +zadd +zscore +zrevrank +zremrangebyrank +publish   what a commit runs
 *
 *   In a Cluster all of them: +multi +exec +cluster|slots +cluster|info, and for the driver's naming of connections +client|setname
 *   +info +config|get    optional: without them the guarantee is `advisory`.
 */
import { randomUUID } from 'node:crypto'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { RecordStore } from '../ports/records.ts'
import { watchDirectory } from '../records/watch.ts'
import { redisBackend } from './index.ts'

const READER = [
  ...['&hf:dir:{*}:ch', '%R~hf:dir:{*}', '%R~hf:dir:{*}:e', '%R~hf:dir:{*}:d'],
  ...'+hget +hmget +hgetall +time +zrange +subscribe +unsubscribe +ping'.split(' '),
]
const INSTANCE = [
  ...[...READER, '%RW~hf:dir:{*}:e', '%RW~hf:dir:{*}:d'],
  ...'+evalsha +eval +hset +hdel +exists +zadd +zrem +zscore +zrangebyscore +publish'.split(' '),
]
const PUBLISHER = [
  ...[...READER, '%RW~hf:dir:{*}', '%RW~hf:dir:{*}:c', '%RW~hf:dir:{*}:e'],
  ...'+evalsha +eval +hset +hdel +hlen +hexists +del +zadd +zscore +zrevrank +zremrangebyrank +publish'.split(' '),
]
const OPTIONAL = ['+info', '+config|get']

let server: RedisServer
let admin: Redis
let directory: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  server = await startRedis({ appendonly: 'always', args: ['--maxmemory-policy', 'noeviction'] })
  admin = new Redis(server.url)
})

afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

beforeEach(async () => {
  directory = `dir {${randomUUID()}}`
  opened = []
  await admin.acl('LOG', 'RESET')
  // Who may not bring a script works for as long as the server knows it.
  await admin.script('FLUSH')
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

async function opening(rules: readonly string[]): Promise<Backend> {
  const user = `user-${randomUUID()}`
  await admin.acl('SETUSER', user, 'reset', 'on', '>secret', 'resetchannels', ...rules)
  const backend = redisBackend({ url: `redis://${user}:secret@127.0.0.1:${server.port}`, commandTimeoutMs: 30_000 })
  opened.push(() => backend.close())
  return backend
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function committing(records: RecordStore, id: string, text: string): ReturnType<RecordStore['commit']> {
  const changes = [{ kind: 'put', id, value: bytes(text) } as const]
  return records.commit({ directory, commitId: records.newId(), changes })
}

/** All that a commit can run into. */
async function everything(records: RecordStore): Promise<void> {
  await committing(records, 'a', '1')
  const commitId = records.newId()
  const changes = [{ kind: 'delete', id: 'a' } as const, { kind: 'put', id: 'b', value: bytes('2') } as const]
  const first = await records.commit({ directory, commitId, changes })
  expect(await records.commit({ directory, commitId, changes })).toEqual(first)
}

/** The commands that a user was refused. */
async function refusedCommands(): Promise<readonly string[]> {
  const log = (await admin.acl('LOG')) as readonly (readonly string[])[]
  return [...new Set(log.map(entry => String(entry[entry.indexOf('object') + 1])))].sort()
}

describe('A reader', () => {
  it('follows a directory, its ephemeral records and their ends, and can change nothing', async () => {
    const publisher = redisBackend({ client: admin })
    opened.push(() => publisher.close())
    await committing(publisher.records, 'a', '1')
    const backend = await opening([...READER, ...OPTIONAL])
    await backend.ready()
    expect(backend.records.guarantee).toBe('lease')
    const watch = watchDirectory(backend, directory, { ephemerals: true })
    opened.push(() => watch.close())
    await expect.poll(() => watch.status.push).toBe('live')
    const view = (): string => {
      const { current } = watch.view
      if (current.kind !== 'present') return current.kind
      const value = current.records.get('a')?.value
      return `${new TextDecoder().decode(value)} ${[...current.ephemerals.keys()].join()}`
    }
    await committing(publisher.records, 'a', '2')
    await expect.poll(view).toBe('2 ')
    const joined = { directory, id: 'i', owner: publisher.records.newId(), value: bytes('x'), ttlMs: 3_000 }
    await publisher.records.join(joined)
    await expect.poll(view).toBe('2 i')
    await expect.poll(view).toBe('2 ')
    // The marker of the server and the scripts of leases, which it tries at each connect.
    expect(await refusedCommands()).toEqual(['eval', 'script|load'])

    await expect(committing(backend.records, 'a', '3')).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(backend.records.join(joined)).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(acquireLease(backend, 'r', {})).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(backend.health.current).toEqual({ kind: 'ready' })
    expect(await backend.records.read({ directory, ids: ['a'] })).toMatchObject({ kind: 'present' })
  })

  it('who may not ask what the server is reads all the same', async () => {
    const backend = await opening(READER)
    expect(await backend.records.read({ directory })).toEqual({ kind: 'missing' })
    expect(backend.records.guarantee).toBe('advisory')
  })

  it('of other directories is refused, and told so while it listens', async () => {
    const other = READER.map(rule => rule.replace('{*}', '{other}'))
    const { records } = await opening([...other, ...OPTIONAL])
    await expect(records.read({ directory })).rejects.toMatchObject({ code: 'HF_REFUSED' })
    const cause = await new Promise<unknown>(resolve => {
      const subscription = records.listen(directory, { live: () => {}, changed: () => {}, down: resolve })
      opened.push(() => subscription.close())
    })
    expect(cause).toMatchObject({ code: 'HF_REFUSED' })
    expect((cause as Error).message).toMatch(/^Redis refused: NOPERM/)
    const isLive = new Promise<void>(resolve => {
      opened.push(records.listen('other', { live: resolve, changed: () => {}, down: () => {} }).close)
    })
    await isLive
  })
})

describe('An instance', () => {
  it('joins, beats and leaves, before and after there is a record, and can change none', async () => {
    const { records } = await opening([...INSTANCE, ...OPTIONAL])
    const joined = { directory, id: 'i', owner: records.newId(), value: bytes('x'), ttlMs: 60_000 }
    const short = { ...joined, id: 'short', ttlMs: 2_000 }
    await records.join(joined)
    await records.join(short)
    await expect.poll(() => records.beat(short, bytes('y')).then(({ kind }) => kind)).toBe('kept')
    await new Promise(resolve => setTimeout(resolve, 2_500))
    expect(await records.beat(joined, bytes('y'))).toMatchObject({ kind: 'kept' })
    const read = await records.read({ directory, ephemerals: true })
    expect(read.kind === 'present' && [...read.ephemerals.keys()]).toEqual(['i'])
    expect(await records.leave(joined)).toBe('left')
    expect(await refusedCommands()).toEqual(['script|load'].concat('hf:server').sort())
    await expect(committing(records, 'a', '1')).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(await records.read({ directory })).toMatchObject({ kind: 'present', revision: { number: 0 } })
  })
})

describe('A publisher', () => {
  it('commits', async () => {
    const { records } = await opening([...PUBLISHER, ...OPTIONAL])
    await everything(records)
    expect(await records.read({ directory })).toMatchObject({ kind: 'present', revision: { number: 2 } })
  })

  it.each(PUBLISHER.filter(rule => /^\+(?!hget|hmget|hgetall|zrange|subscribe|unsubscribe|ping|hexists)/.test(rule)))(
    'who lacks %s is refused, and nothing of the commit was done',
    async missing => {
      const { records } = await opening([...PUBLISHER, ...OPTIONAL].filter(rule => rule !== missing))
      const error = await everything(records).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'HF_REFUSED' })
      const read = await records.read({ directory })
      // What was refused was the first commit, or the second, or its repetition.
      const seen = read.kind === 'present' ? [read.revision.number, [...read.records.keys()]] : read.kind
      expect(['missing', [1, ['a']], [2, ['b']]]).toContainEqual(seen)
    },
  )
})
