import { randomUUID } from 'node:crypto'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster, Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { CommitOutcome, RecordStore } from '../ports/records.ts'
import { redisBackend } from './index.ts'
import { directoryKeys } from './keys.ts'

let cluster: RedisCluster
let admins: readonly Redis[]
let backend: Backend
let records: RecordStore
let directory: string
let opened: (() => Promise<void> | void)[]

beforeAll(async () => {
  cluster = await startRedisCluster({ appendonly: 'always', args: ['--cluster-require-full-coverage', 'no'] })
  admins = cluster.nodes.map(({ url }) => new Redis(url))
  for (const admin of admins) admin.on('error', () => {})
})

afterAll(async () => {
  for (const admin of admins) admin.disconnect()
  await cluster.stop()
})

beforeEach(() => {
  opened = []
  directory = randomUUID()
  backend = opening()
  records = backend.records
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

function opening(user: { readonly username?: string; readonly password?: string } = {}): Backend {
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = new Cluster(nodes, { redisOptions: user })
  client.on('error', () => {})
  opened.push(() => client.disconnect())
  const made = redisBackend({ client, commandTimeoutMs: 5_000 })
  opened.push(() => made.close())
  return made
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function commit(to: string, text: string, store = records): Promise<CommitOutcome> {
  const changes = [{ kind: 'put', id: 'a', value: bytes(text) } as const]
  return store.commit({ directory: to, commitId: store.newId(), changes })
}

/** Which node has the keys of the directory. */
async function owner(): Promise<number> {
  const { records: key } = directoryKeys('hf', directory)
  const isOwner = await Promise.all(
    admins.map(admin =>
      admin.exists(key).then(
        () => true,
        () => false,
      ),
    ),
  )
  return isOwner.indexOf(true)
}

async function slotOf(name: string): Promise<number> {
  return Number(await admins[0]?.cluster('KEYSLOT', directoryKeys('hf', name).records))
}

/** Who is subscribed to the channel of the directory, by node. */
async function listeners(): Promise<readonly number[]> {
  const { channel } = directoryKeys('hf', directory)
  return await Promise.all(
    admins.map(async admin => {
      if (admin.status !== 'ready') return 0
      const [, count] = (await admin.pubsub('NUMSUB', channel)) as [string, number]
      return Number(count)
    }),
  )
}

/** Moves the slot of the directory, with its keys, to another node. */
async function moveSlot(): Promise<void> {
  const slot = await slotOf(directory)
  const from = await owner()
  const to = (from + 1) % admins.length
  const [source, target] = [admins[from] as Redis, admins[to] as Redis]
  const [sourceId, targetId] = [String(await source.cluster('MYID')), String(await target.cluster('MYID'))]
  await target.cluster('SETSLOT', slot, 'IMPORTING', sourceId)
  await source.cluster('SETSLOT', slot, 'MIGRATING', targetId)
  for (const key of (await source.cluster('GETKEYSINSLOT', slot, 100)) as string[]) {
    await source.migrate('127.0.0.1', cluster.nodes[to]?.port ?? 0, key, 0, 5_000)
  }
  for (const node of [target, source]) await node.cluster('SETSLOT', slot, 'NODE', targetId)
}

describe('Records in a Cluster', () => {
  it('are spread over all nodes, also when no node knows the scripts', async () => {
    const directories = Array.from({ length: 30 }, () => randomUUID())
    for (let round = 1; round <= 2; round += 1) {
      for (const admin of admins) await admin.script('FLUSH')
      const outcomes = await Promise.all(directories.map(name => commit(name, String(round))))
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['committed']))
    }
    for (const name of directories) {
      expect(await records.read({ directory: name })).toMatchObject({ kind: 'present', revision: { number: 2 } })
    }
    const sizes = await Promise.all(admins.map(admin => admin.dbsize()))
    expect(Math.min(...sizes)).toBeGreaterThan(0)
  })

  it('have one winner of the first commit, in each of 200 rounds of four clients', async () => {
    const stores = [records, opening().records, opening().records, opening().records]
    for (let round = 0; round < 200; round += 1) {
      const outcomes = await Promise.all(
        stores.map(store => {
          const changes = [{ kind: 'put', id: 'head', value: bytes('x'), expect: 'absent' } as const]
          return store.commit({ directory: `${directory}-${round}`, commitId: store.newId(), changes })
        }),
      )
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['committed', 'conflict', 'conflict', 'conflict'])
    }
  })

  it('are followed when their slot moves to another node', async () => {
    await commit(directory, '1')
    await records.join({ directory, id: 'i', owner: records.newId(), value: bytes('x'), ttlMs: 60_000 })
    await moveSlot()
    const read = await records.read({ directory, ephemerals: true })
    expect(read.kind === 'present' && [...read.ephemerals.keys()]).toEqual(['i'])
    await moveSlot()
    expect(await commit(directory, '2')).toMatchObject({ kind: 'committed', revision: { number: 2 } })
    await moveSlot()
    expect(await records.read({ directory, ids: ['a'] })).toMatchObject({ kind: 'present', revision: { number: 2 } })
  })

  it('are heard of through any node, and through another one when that goes', async () => {
    const heard: string[] = []
    opened.push(
      records.listen(directory, {
        live: () => heard.push('live'),
        down: () => heard.push('down'),
        changed: id => heard.push(id ?? ''),
      }).close,
    )
    await expect.poll(() => heard).toEqual(['live'])
    const first = (await listeners()).indexOf(1)
    // Where the directory is must stay.
    while ((await owner()) === first) directory = randomUUID()
    opened.push(
      records.listen(directory, { live: () => {}, down: () => {}, changed: id => heard.push(id ?? '') }).close,
    )
    await expect.poll(listeners).toContain(1)
    await cluster.nodes[first]?.kill('SIGKILL')
    await expect.poll(() => heard, { timeout: 60_000 }).toEqual(['live', 'down', 'live'])
    await expect.poll(listeners).toContain(1)
    const outcome = await commit(directory, '1', opening().records)
    await expect.poll(() => heard.at(-1)).toBe(outcome.kind === 'committed' && outcome.revision.commit)
    await cluster.restart()
  })

  it('can be followed by a user who may only read and listen', async () => {
    await commit(directory, '1')
    const rules = '&hf:dir:{*}:ch %R~hf:dir:{*} %R~hf:dir:{*}:e %R~hf:dir:{*}:d +hget +hmget +hgetall +time +zrange'
    const more = '+subscribe +unsubscribe +ping +info +multi +exec +cluster|slots +cluster|info +client|setname'
    for (const admin of admins) {
      await admin.acl('SETUSER', 'reader', 'reset', 'on', '>secret', ...`${rules} ${more}`.split(' '))
      await admin.acl('LOG', 'RESET')
    }
    const reader = opening({ username: 'reader', password: 'secret' })
    const heard: (string | undefined)[] = []
    const isLive = new Promise<void>(resolve => {
      const listener = { live: resolve, down: () => {}, changed: (id?: string) => heard.push(id) }
      opened.push(reader.records.listen(directory, listener).close)
    })
    await isLive
    expect(await reader.records.read({ directory, ephemerals: true })).toMatchObject({ kind: 'present' })
    const outcome = await commit(directory, '2')
    await expect.poll(() => heard).toEqual([outcome.kind === 'committed' && outcome.revision.commit])
    for (const admin of admins) expect(await admin.acl('LOG')).toEqual([])
    await expect(commit(directory, '3', reader.records)).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })

  it('are advisory', async () => {
    await commit(directory, '1')
    expect([backend.records.guarantee, backend.health.current]).toEqual(['advisory', { kind: 'ready' }])
  })
})

describe('A url of one node of a Cluster', () => {
  it('is refused as soon as another node has the key, with what to give instead', async () => {
    const outcomes = await Promise.all(
      cluster.nodes.map(async ({ url }) => {
        const alone = redisBackend({ url })
        opened.push(() => alone.close())
        return await alone.records.read({ directory }).then(
          ({ kind }) => kind,
          (error: Error) => error.message,
        )
      }),
    )
    const refused =
      'Redis refused: the server is a node of a Cluster, and another one has the key: give `redisBackend` a Cluster client of ioredis.'
    expect(outcomes.sort()).toEqual([refused, refused, 'missing'])
  })
})
