import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCluster } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster, Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { acquireLease, tryAcquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import type { HistoryEvent } from '../testing/index.ts'
import { SimulatedClock, checkHistory, describeViolation } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { leaseKeys } from './keys.ts'

// A node that a busy machine keeps from running is not to be taken for one that is gone.
const NODE_TIMEOUT_MS = 2_500
/** Longer than a takeover that was agreed upon may take. */
const TAKEOVER_MS = 6_000

/** How often it is taken before and after what happens to it. */
const USED_MIN = 15

let cluster: RedisCluster
let admins: readonly Redis[]
let opened: (() => Promise<void> | void)[]
let resource: string

beforeAll(async () => {
  cluster = await startRedisCluster({
    replicas: 1,
    nodeTimeoutMs: NODE_TIMEOUT_MS,
    args: ['--cluster-require-full-coverage', 'no', '--repl-ping-replica-period', '1'],
  })
  admins = cluster.nodes.map(({ url }) => new Redis(url))
  for (const admin of admins) admin.on('error', () => {})
})

afterAll(async () => {
  for (const admin of admins) admin.disconnect()
  await cluster.stop()
})

beforeEach(async () => {
  opened = []
  resource = randomUUID()
  await allWell()
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

interface Opening {
  readonly maxClockSkewMs?: number
  readonly commandTimeoutMs?: number
  readonly clock?: Clock
}

function opening(
  options: Opening = {},
  user: { readonly username?: string; readonly password?: string } = {},
): Backend {
  const client = new Cluster(
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { lazyConnect: true, redisOptions: user },
  )
  client.on('error', () => {})
  const backend = redisBackend({ client, commandTimeoutMs: 30_000, ...options })
  opened.push(async () => {
    await backend.close()
    client.disconnect()
  })
  return backend
}

function slotOf(name: string): Promise<number> {
  return asked(admin => admin.cluster('KEYSLOT', leaseKeys('hf', name).state)).then(Number)
}

// Of the first one that answers.
async function asked<T>(question: (admin: Redis) => Promise<T>): Promise<T> {
  return await Promise.any(admins.filter(({ status }) => status === 'ready').map(question))
}

/** Which nodes have the slot of the resource: its master first, then those that follow it. By their place in `cluster.nodes`. */
async function owners(): Promise<readonly number[]> {
  const slot = await slotOf(resource)
  const ranges = await asked(admin => admin.cluster('SLOTS'))
  const [, , ...nodes] = ranges.find(([first, last]) => slot >= first && slot <= last) ?? [0, 0]
  return nodes.map(([, port]) => cluster.nodes.findIndex(node => node.port === port))
}

/** Once the master has a replica that all know of. */
async function pair(): Promise<readonly [number, number]> {
  let known: readonly number[] = []
  await expect.poll(async () => (known = await owners()).length, { timeout: 60_000 }).toBe(2)
  const [master = -1, replica = -1] = known
  return [master, replica]
}

async function masterOf(): Promise<number> {
  return (await owners())[0] ?? -1
}

/** Lets the replica take over, as both agree. Returns once it has. */
async function failOver(): Promise<void> {
  const [master, replica] = await pair()
  let askedMs = -Infinity
  const takesOver = async (): Promise<number> => {
    // The others do not vote for the same one twice within a while: then it has to be asked for again.
    if (systemClock.monotonicMs() - askedMs > TAKEOVER_MS) {
      askedMs = systemClock.monotonicMs()
      await admins[replica]?.cluster('FAILOVER')
    }
    return await masterOf()
  }
  await expect.poll(takesOver, { timeout: 120_000 }).toBe(replica)
  expect(master).not.toBe(replica)
}

async function allWell(): Promise<void> {
  const isWell = async (admin: Redis): Promise<boolean> => {
    const [state, replication] = await Promise.all([admin.cluster('INFO'), admin.info('replication')])
    return String(state).includes('cluster_state:ok') && /link_status:up|connected_slaves:1/.test(replication)
  }
  await expect
    .poll(async () => (await Promise.all(admins.map(admin => isWell(admin).catch(() => false)))).every(Boolean), {
      timeout: 60_000,
    })
    .toBe(true)
}

/** Takes turns until told to stop, and tells what each believed. */
async function taking(backend: Backend, holder: string, history: HistoryEvent[], stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    let lease: Lease
    try {
      lease = await acquireLease(backend, resource, { ttlMs: 3_000, signal: stop })
    } catch (error) {
      if (stop.aborted) return
      if ((error as { code?: string }).code !== 'HF_UNAVAILABLE') throw error
      continue
    }
    const acquiredAtMs = systemClock.monotonicMs()
    const token = lease.token.value
    await sleep(5 + Math.random() * 15)
    const validUntilMs = systemClock.monotonicMs() + Math.min(0, lease.remainingMs())
    history.push({ kind: 'hold', resource, holder, token, acquiredAtMs, validUntilMs })
    await lease.release()
  }
}

async function historyOf(during: (used: () => Promise<void>) => Promise<void>): Promise<readonly HistoryEvent[]> {
  const history: HistoryEvent[] = []
  const stop = new AbortController()
  const takers = ['a', 'b', 'c'].map(name => taking(opening(), name, history, stop.signal))
  try {
    await during(async () => {
      const before = history.length
      await expect.poll(() => history.length, { timeout: 120_000 }).toBeGreaterThan(before + USED_MIN)
    })
  } finally {
    stop.abort()
    await Promise.all(takers)
  }
  return history
}

describe('Leases in a Cluster', () => {
  it('are advisory, and spread over all masters', async () => {
    const backend = opening()
    const leases = await Promise.all(Array.from({ length: 40 }, () => acquireLease(backend, randomUUID(), {})))
    expect(new Set(leases.map(({ guarantee }) => guarantee))).toEqual(new Set(['advisory']))
    const sizes = await Promise.all(cluster.nodes.slice(0, 3).map((_node, index) => admins[index]?.dbsize()))
    expect(Math.min(...sizes.map(Number))).toBeGreaterThan(1)
    expect(backend.health.current).toEqual({ kind: 'ready' })
    await Promise.all(leases.map(lease => lease.release()))
  })

  it('can be used with exactly the rights that the guide names', async () => {
    const steps =
      '+time +get +set +setrange +exists +del +pttl +pexpire +publish +hget +hset +hsetnx +hmget +hdel +hlen'
    const rights = `~hf:* &hf:inbox:* +eval +evalsha ${steps} +hgetall +subscribe +ping +info`
    const more = '+cluster|slots +cluster|info +cluster|nodes'
    for (const admin of admins) {
      await admin.acl('SETUSER', 'locks', 'reset', 'on', '>secret', ...`${rights} ${more}`.split(' '))
      await admin.acl('LOG', 'RESET')
    }
    const [one, other] = [0, 1].map(() => opening({}, { username: 'locks', password: 'secret' })) as [Backend, Backend]
    const lease = await acquireLease(one, resource, { ttlMs: 150_000 })
    const waiting = acquireLease(other, resource, { ttlMs: 150_000 })
    await expect.poll(async () => (await one.leases.inspect(resource)).waiters.length).toBe(1)
    await lease.release()
    expect(await (await waiting).release()).toBe('released')
    const refused = await Promise.all(admins.map(admin => admin.acl('LOG')))
    // What the driver tells of itself is its own affair.
    expect(JSON.stringify(refused).match(/"object","(?!client|readonly)[^"]*"/g)).toBeNull()
    for (const admin of admins) await admin.acl('SETUSER', 'locks', '-info')
    await expect(
      acquireLease(opening({}, { username: 'locks', password: 'secret' }), resource, {}),
    ).rejects.toMatchObject({
      code: 'HF_REFUSED',
    })
  })

  it('say who holds and waits, and for how long, by the clock of the node', async () => {
    const lease = await acquireLease(opening(), resource, { ttlMs: 150_000, meta: { of: 'first' } })
    const waiting = acquireLease(opening(), resource, { meta: { of: 'second' } })
    const { leases } = opening()
    await expect.poll(async () => (await leases.inspect(resource)).waiters.length).toBe(1)
    const { holder, waiters } = await leases.inspect(resource)
    expect([holder?.meta, waiters.map(({ meta }) => meta)]).toEqual([{ of: 'first' }, [{ of: 'second' }]])
    expect(holder?.remainingMs).toBeGreaterThan(100_000)
    await lease.release()
    await (await waiting).release()
  })

  it('are held back on a node that took over, and not again for a client that comes later', async () => {
    const first = opening({ maxClockSkewMs: 2_000 })
    await (await acquireLease(first, resource, {})).release()
    const startMs = systemClock.monotonicMs()
    await failOver()
    await (await acquireLease(first, resource, {})).release()
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(1_900)
    // By its clock no time passes, in which anything could be held back.
    const later = opening({ maxClockSkewMs: 2_000, clock: new SimulatedClock() })
    expect((await acquireLease(later, resource, {})).resource).toBe(resource)
    await allWell()
  })

  it('held and waited for survive that a replica takes over', async () => {
    const [one, other] = [opening(), opening()]
    const lease = await acquireLease(one, resource, { ttlMs: 150_000, renew: false })
    const waiting = acquireLease(other, resource, { ttlMs: 150_000 })
    await expect.poll(async () => (await one.leases.inspect(resource)).waiters.length).toBe(1)
    await failOver()
    // Who waits listens to the old master, and nothing of that link broke: it is told all the same.
    const startMs = systemClock.monotonicMs()
    expect(await lease.release()).toBe('released')
    const next = await waiting
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(75_000)
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    expect(await next.release()).toBe('released')
  })

  it('never overlap, and have tokens that grow, while replicas take over again and again', async () => {
    const history = await historyOf(async used => {
      for (let round = 0; round < 4; round += 1) {
        await used()
        await failOver()
        await allWell()
      }
      await used()
    })
    expect(checkHistory(history).map(describeViolation)).toEqual([])
    expect(new Set(history.map(event => event.kind === 'hold' && event.holder)).size).toBe(3)
  })

  it('that were replicated survive kill -9 of the master, with those who wait', async () => {
    const [one, other] = [opening(), opening()]
    const lease = await acquireLease(one, resource, { ttlMs: 150_000, renew: false })
    const waiting = acquireLease(other, resource, { ttlMs: 150_000 })
    await expect.poll(async () => (await one.leases.inspect(resource)).waiters.length).toBe(1)
    const [master, replica] = await pair()
    // To wait for what this one wrote is to wait for all that was written before.
    await admins[master]?.set(`written:{${resource}}`, '')
    await admins[master]?.wait(1, 30_000)
    await cluster.nodes[master]?.kill()
    await expect.poll(masterOf, { timeout: 60_000 }).toBe(replica)
    expect(await tryAcquireLease(opening(), resource, { waitMs: 8_000 })).toBeUndefined()
    await lease.extend(150_000)
    expect(await lease.release()).toBe('released')
    const next = await waiting
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    await next.release()
    await cluster.nodes[master]?.restart()
  })

  it('have tokens that grow through kill -9 of the master in the middle of use', async () => {
    const history = await historyOf(async used => {
      await used()
      const [master, replica] = await pair()
      await cluster.nodes[master]?.kill()
      await expect.poll(masterOf, { timeout: 60_000 }).toBe(replica)
      await used()
      await cluster.nodes[master]?.restart()
    })
    const tokens = checkHistory(history).filter(({ kind }) => kind === 'token-not-greater')
    expect(tokens.map(describeViolation)).toEqual([])
  })

  it('on a silent node hurt nobody but who needs that node', async () => {
    const backend = opening({ commandTimeoutMs: 3_000 })
    const names = Array.from({ length: 30 }, () => randomUUID())
    for (const name of names) await (await acquireLease(backend, name, {})).release()
    const master = await masterOf()
    const isThere = await Promise.all(names.map(async name => ((resource = name), (await owners())[0] === master)))
    await cluster.nodes[master]?.kill('SIGSTOP')
    const own = names.find((_name, index) => isThere[index])
    const others = names.filter((_name, index) => !isThere[index])
    const stuck = acquireLease(backend, own ?? '', {}).catch((error: unknown) => error)
    for (let round = 0; round < 5; round += 1) {
      // Whatever waited for that node would be rejected.
      const released = others.map(async name => (await acquireLease(backend, name, {})).release())
      expect(new Set(await Promise.all(released))).toEqual(new Set(['released']))
      await sleep(200)
    }
    expect(await stuck).toMatchObject({ code: 'HF_UNAVAILABLE' })
    resource = own ?? ''
    await expect.poll(masterOf, { timeout: 60_000 }).not.toBe(master)
    // The replica took over, and the client found it.
    await expect
      .poll(
        () =>
          acquireLease(backend, resource, {}).then(
            lease => lease.release(),
            () => 'not yet',
          ),
        { timeout: 60_000 },
      )
      .toBe('released')
    await cluster.nodes[master]?.kill('SIGCONT')
  })

  it('go with their slot to another node, held and waited for', async () => {
    const [one, other] = [opening(), opening()]
    const lease = await acquireLease(one, resource, { ttlMs: 150_000, renew: false })
    const waiting = acquireLease(other, resource, { ttlMs: 150_000 })
    await expect.poll(async () => (await one.leases.inspect(resource)).waiters.length).toBe(1)
    await moveSlot()
    expect(await tryAcquireLease(opening(), resource, { waitMs: 3_000 })).toBeUndefined()
    await lease.extend(150_000)
    expect(await lease.release()).toBe('released')
    const startMs = systemClock.monotonicMs()
    const next = await waiting
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(75_000)
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    expect(await next.release()).toBe('released')
  })

  it('never overlap while their slot moves', async () => {
    const history = await historyOf(async used => {
      for (let round = 0; round < 6; round += 1) {
        await used()
        await moveSlot()
      }
      await used()
    })
    expect(checkHistory(history).map(describeViolation)).toEqual([])
  })
})

/** Moves the slot of the resource, with its keys, to another master. */
async function moveSlot(): Promise<void> {
  const slot = await slotOf(resource)
  const ranges = await asked(admin => admin.cluster('SLOTS'))
  const ports = [...new Set(ranges.map(([, , master]) => master?.[1]))]
  const from = cluster.nodes[await masterOf()]?.port ?? 0
  const to = ports.find(port => port !== from) ?? 0
  const [source, target] = [from, to].map(at => admins[cluster.nodes.findIndex(({ port }) => port === at)] as Redis)
  if (source === undefined || target === undefined) throw new Error('There is no other node.')
  const [sourceId, targetId] = [String(await source.cluster('MYID')), String(await target.cluster('MYID'))]
  await target.cluster('SETSLOT', slot, 'IMPORTING', sourceId)
  await source.cluster('SETSLOT', slot, 'MIGRATING', targetId)
  for (;;) {
    const keys = (await source.cluster('GETKEYSINSLOT', slot, 100)) as string[]
    if (keys.length === 0) break
    for (const key of keys) await source.migrate('127.0.0.1', to, key, 0, 60_000)
  }
  for (const node of [target, source]) await node.cluster('SETSLOT', slot, 'NODE', targetId)
}
