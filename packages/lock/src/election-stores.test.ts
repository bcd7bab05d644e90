import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { systemClock } from '@holdfast/core'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { createFaultProxy } from '@holdfast/core/testing'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import type { PostgresServer, RedisServer, ZooKeeperServer } from '@holdfast/scripts/servers'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { DoubleBarrier, Locks } from './index.ts'
import { createLocks, leaseHandle } from './index.ts'

const TTL_MS = 2_000
const TENANT = 'elections'

let redis: RedisServer
let zookeeper: ZooKeeperServer
let postgres: PostgresServer
const world = new MemoryWorld(systemClock)

beforeAll(async () => {
  redis = await startRedis()
  postgres = await startPostgres()
  zookeeper = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
}, 60_000)

afterAll(async () => {
  for (const server of [redis, postgres, zookeeper]) await server.stop()
})

/** A store, by the address of its server. */
interface Store {
  readonly kind: 'memory' | 'redis' | 'zookeeper' | 'postgres'
  /** A session's store serves its session's. */
  readonly ttlMs: number | undefined
  address(): string
  open(address: string): Backend
}

const STORES: readonly Store[] = [
  { kind: 'memory', ttlMs: TTL_MS, address: () => '', open: () => memoryBackend({ world }) },
  { kind: 'redis', ttlMs: TTL_MS, address: () => redis.url, open: url => redisBackend({ url, prefix: TENANT }) },
  {
    kind: 'zookeeper',
    ttlMs: undefined,
    address: () => zookeeper.connectString,
    open: connect => zookeeperBackend({ connect, root: `/${TENANT}`, sessionTimeoutMs: TTL_MS }),
  },
  {
    kind: 'postgres',
    ttlMs: TTL_MS,
    address: () => postgres.url,
    open: url => postgresBackend({ url, schema: TENANT }),
  },
]
const SERVERS = STORES.filter(({ kind }) => kind !== 'memory')

function opened(store: Store, address = store.address()): Locks {
  const backend = store.open(address)
  onTestFinished(() => backend.close())
  return createLocks({ backend, ...(store.ttlMs === undefined ? {} : { ttlMs: store.ttlMs }) })
}

/** The same store behind a proxy. */
async function behindProxy(store: Store) {
  const address = store.address()
  const url = new URL(store.kind === 'zookeeper' ? `zookeeper://${address}` : address)
  const ports = { redis: 6379, zookeeper: 2181, postgres: 5432, memory: 0 }
  const proxy = await createFaultProxy({
    target: { host: url.hostname, port: Number(url.port || ports[store.kind]) },
  })
  onTestFinished(() => proxy.close())
  url.host = proxy.connectString
  return { proxy, locks: opened(store, store.kind === 'zookeeper' ? proxy.connectString : url.href) }
}

// A process of its own: it does what it is told to, says what came of it, and then only lives.
const PARTY = `
  const [core, name, lock, settings] = process.argv.slice(1)
  const { address, tenant, resource, ttlMs, task } = JSON.parse(settings)
  const make = await import(core)
  const { createLocks, leaseHandle } = await import(lock)
  const backend = {
    redis: () => make.redisBackend({ url: address, prefix: tenant }),
    postgres: () => make.postgresBackend({ url: address, schema: tenant }),
    zookeeper: () => make.zookeeperBackend({ connect: address, root: '/' + tenant, sessionTimeoutMs: ttlMs }),
  }[name]()
  const locks = createLocks({ backend })
  setInterval(() => {}, 1_000)
  const options = name === 'zookeeper' ? {} : { ttlMs }
  const did = {
    lead: async () => leaseHandle(await locks.election(resource, { id: 'child' }).campaign(options)),
    enter: async () => await locks.doubleBarrier(resource, { parties: 2, ...options }).enter() ?? 'in',
  }[task]
  process.stdout.write(await did() + '\\n')
`

interface Task {
  readonly resource: string
  readonly task: 'lead' | 'enter'
  readonly ttlMs: number
}

function party({ kind, address }: Store, task: Task) {
  const core = import.meta.resolve(`@holdfast/core/${kind}`)
  const lock = new URL('../dist/index.js', import.meta.url).href
  const settings = JSON.stringify({ address: address(), tenant: TENANT, ...task })
  const args = ['--input-type=module', '-e', PARTY, core, kind, lock, settings]
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = once(child.stdout, 'data').then(([line]) => String(line).trim())
  return { child, said }
}

async function kill(child: { kill(signal: 'SIGKILL'): boolean }): Promise<void> {
  const ended = once(child as never, 'exit')
  child.kill('SIGKILL')
  await ended
}

async function until(isSo: () => boolean): Promise<void> {
  for (let look = 0; !isSo(); look += 1) {
    if (look > 3_000) throw new Error('It never came to be so.')
    await sleep(10)
  }
}

describe.each(STORES)('Elections and barriers on $kind, with two clients', store => {
  it('hand the leadership from one candidate to the next, with growing tokens, and observers converge on the last', async () => {
    const [one, other, third] = [opened(store), opened(store), opened(store)]
    const name = randomUUID()
    const [a, b] = [one.election(name, { id: 'a', value: 'A' }), other.election(name, { id: 'b', value: 'B' })]
    const observer = third.election(name)
    const tokens: bigint[] = []
    tokens.push((await a.campaign()).token.value)
    await until(() => observer.leader.current?.value === 'A')
    for (const [from, to] of [
      [a, b],
      [b, a],
      [a, b],
    ] as const) {
      const next = to.campaign()
      await sleep(50)
      await from.resign()
      tokens.push((await next).token.value)
    }
    await until(() => observer.leader.current?.token.value === tokens[3])
    expect(observer.leader.current).toMatchObject({ id: 'b', value: 'B' })
    expect(tokens.every((token, index) => index === 0 || token > (tokens[index - 1] as bigint))).toBe(true)
    await b.resign()
    await until(() => observer.leader.current === undefined)
    expect(await observer.findLeader()).toBeUndefined()
    for (const election of [a, b, observer]) await election.close()
  })

  it('let 20 parties at a time in and out, three times', async () => {
    const [one, other] = [opened(store), opened(store)]
    const name = randomUUID()
    const parties = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? one : other).doubleBarrier(name, { parties: 20 }),
    )
    let [came, went] = [0, 0]
    const goThrough = async (party: DoubleBarrier): Promise<readonly [number, number]> => {
      came += 1
      await party.enter({ waitMs: 15_000 })
      const cameBefore = came
      went += 1
      await party.leave({ waitMs: 15_000 })
      return [cameBefore, went]
    }
    for (let round = 1; round <= 3; round += 1) {
      const seen = await Promise.all(parties.map(goThrough))
      expect(seen).toEqual(Array.from({ length: 20 }, () => [20 * round, 20 * round]))
    }
  }, 60_000)

  it('count 20 steps of a latch that are made at the same moment, each id once, and let everybody on', async () => {
    const [one, other] = [opened(store), opened(store)]
    const name = randomUUID()
    const latches = [one, other].map(locks => locks.latch(name, { count: 20 }))
    const waiting = Promise.all(latches.map(latch => latch.wait({ waitMs: 15_000 })))
    const steps = Array.from({ length: 40 }, (_, index) =>
      (latches[index % 2] as (typeof latches)[0]).countDown({ id: `job-${Math.floor(index / 2)}` }),
    )
    const remaining = await Promise.all(steps)
    await waiting
    expect(remaining).toContain(0)
    const info = await one.latch(name, { count: 20 }).inspect()
    expect([info.remaining, new Set(info.counted).size]).toEqual([0, 20])
  }, 30_000)

  it('stop who comes to a shut barrier, and let them go on', async () => {
    const [one, other] = [opened(store), opened(store)]
    const name = randomUUID()
    await one.barrier(name).shut()
    await expect(other.barrier(name).wait({ waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    const waiting = [one, other].map(locks => locks.barrier(name).wait({ waitMs: 15_000 }))
    await sleep(100)
    await other.barrier(name).open()
    await Promise.all(waiting)
    expect(await one.barrier(name).isShut()).toBe(false)
  })
})

describe.each(SERVERS)('When a process is killed, or a link is cut, on $kind', store => {
  it('another candidate leads once the time of the killed leader is over', async () => {
    const resource = randomUUID()
    const { child, said } = party(store, { resource, task: 'lead', ttlMs: TTL_MS })
    await said
    const heir = opened(store).election(resource, { id: 'heir' })
    const observer = opened(store).election(resource)
    await until(() => observer.leader.current?.id === 'child')
    const leading = heir.campaign({ waitMs: 20_000 })
    await sleep(100)
    expect(heir.isLeader).toBe(false)
    await kill(child)
    const lease = await leading
    await until(() => observer.leader.current?.id === 'heir')
    expect(observer.leader.current?.token.value).toBe(lease.token.value)
  }, 40_000)

  it('a killed party counts as gone, so that the other can leave', async () => {
    const resource = randomUUID()
    const { child, said } = party(store, { resource, task: 'enter', ttlMs: TTL_MS })
    const other = opened(store).doubleBarrier(resource, { parties: 2, ttlMs: TTL_MS })
    await other.enter({ waitMs: 15_000 })
    await said
    await expect(other.leave({ waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    await other.enter({ waitMs: 15_000 })
    await kill(child)
    await expect(other.leave({ waitMs: 15_000 })).resolves.toBeUndefined()
  }, 40_000)

  it('an observer whose link was cut while the leader changed converges on the new one', async () => {
    const resource = randomUUID()
    const { proxy, locks } = await behindProxy(store)
    const observer = locks.election(resource)
    const [a, b] = [opened(store).election(resource, { id: 'a' }), opened(store).election(resource, { id: 'b' })]
    await a.campaign()
    await until(() => observer.leader.current?.id === 'a')
    proxy.hold()
    await a.resign()
    await b.campaign()
    await sleep(100)
    expect(observer.leader.current?.id).toBe('a')
    proxy.dropConnections()
    proxy.heal()
    await until(() => observer.leader.current?.id === 'b')
  }, 40_000)
})

describe.each(SERVERS.filter(({ kind }) => kind !== 'zookeeper'))('A leader on $kind', store => {
  it('that is started again leads on with the same token', async () => {
    const resource = randomUUID()
    const { child, said } = party(store, { resource, task: 'lead', ttlMs: 15_000 })
    const resume = await said
    await kill(child)
    const election = opened(store).election(resource)
    const before = (await election.inspect()).holder?.token.value
    const lease = await election.campaign({ resume, waitMs: 0 })
    expect(lease.token.value).toBe(before)
    await election.resign()
    expect((await election.inspect()).holder).toBeUndefined()
  }, 40_000)
})

describe.each(SERVERS.filter(({ kind }) => kind === 'zookeeper'))('A leader on $kind', store => {
  it('cannot be resumed, for the leadership ends with the session', async () => {
    const election = opened(store).election(randomUUID())
    const resume = leaseHandle(await election.campaign())
    await election.resign()
    await expect(election.campaign({ resume })).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
  })
})
