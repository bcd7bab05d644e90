import { randomUUID } from 'node:crypto'
import type { RedisCluster, RedisServer } from '@holdfast/scripts/servers'
import { startRedisCluster } from '@holdfast/scripts/servers'
import { Cluster, Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import { kindOf } from '../ports/leases.ts'
import { redisBackend } from './index.ts'
import { leaseKeys } from './keys.ts'

let cluster: RedisCluster
let admins: readonly Redis[]
let opened: (() => Promise<void> | void)[]
let name: string

beforeAll(async () => {
  // A stopped replica stays one.
  cluster = await startRedisCluster({ replicas: 1, nodeTimeoutMs: 60_000 })
  admins = cluster.nodes.map(({ url }) => new Redis(url))
})

afterAll(async () => {
  for (const admin of admins) admin.disconnect()
  await cluster.stop()
})

beforeEach(async () => {
  opened = []
  name = randomUUID()
  await wellReplicated()
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
  await Promise.all(cluster.nodes.map(node => node.kill('SIGCONT')))
})

async function wellReplicated(): Promise<void> {
  const isWell = async (admin: Redis): Promise<boolean> =>
    /link_status:up|connected_slaves:1/.test(await admin.info('replication'))
  await expect
    .poll(async () => (await Promise.all(admins.map(isWell))).every(Boolean), { timeout: 60_000, interval: 100 })
    .toBe(true)
}

function opening(replicas: 'none' | 'majority' | number, maxClockSkewMs?: number): Backend {
  const client = new Cluster(
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { lazyConnect: true },
  )
  client.on('error', () => {})
  const backend = redisBackend({ client, replicas, ...(maxClockSkewMs === undefined ? {} : { maxClockSkewMs }) })
  opened.push(async () => {
    await backend.close()
    client.disconnect()
  })
  return backend
}

/** The master that has the slot of the resource, and its replica, once all know of it. */
async function owners(): Promise<readonly [master: RedisServer, replica: RedisServer]> {
  const [admin] = admins
  const slot = Number(await admin?.cluster('KEYSLOT', leaseKeys('hf', name).state))
  const look = async (): Promise<readonly RedisServer[]> => {
    const ranges = (await admin?.cluster('SLOTS')) ?? []
    const [, , ...nodes] = ranges.find(([first, last]) => slot >= first && slot <= last) ?? [0, 0]
    return nodes.flatMap(([, port]) => cluster.nodes.find(node => node.port === port) ?? [])
  }
  let found: readonly RedisServer[] = []
  await expect.poll(async () => (found = await look()).length, { timeout: 60_000 }).toBe(2)
  const [master, replica] = found
  if (master === undefined || replica === undefined) throw new Error('No node has the slot.')
  return [master, replica]
}

describe('A lease in a Cluster that replicas have to acknowledge', () => {
  const modes = [undefined, { kind: 'read' }, { kind: 'permit', limit: 2 }] as const

  it.each(modes)('is refused and given back when the replica of its slot does not (mode %j)', async mode => {
    const backend = opening('majority')
    await (await acquireLease(backend, name, {}, mode)).release()
    const [, replica] = await owners()
    await replica.kill('SIGSTOP')
    await expect(acquireLease(backend, name, {}, mode)).rejects.toThrow('0 of 1 needed replica acknowledged the lease')
    await expect.poll(async () => (await backend.leases.inspect(name, kindOf(mode))).holders).toEqual([])
  })

  it('is handed over, confirmed and renewed as any other', async () => {
    const [one, other] = [opening(1), opening(1)]
    const lease = await acquireLease(one, name, {})
    const waiting = acquireLease(other, name, { renew: false })
    await expect.poll(async () => (await one.leases.inspect(name)).waiters.length).toBe(1)
    await lease.release()
    const next = await waiting
    expect(await next.extend(60_000)).toBeGreaterThan(50_000)
    expect(await next.release()).toBe('released')
  })

  it('is found again after its slot has moved to another node', async () => {
    const backend = opening(1)
    await (await acquireLease(backend, name, {})).release()
    const [master, replica] = await owners()
    const follower = admins[cluster.nodes.indexOf(replica)]
    await follower?.cluster('FAILOVER')
    await expect.poll(async () => (await owners())[0], { timeout: 60_000 }).toBe(replica)
    await expect
      .poll(async () => await follower?.info('replication'), { timeout: 60_000 })
      .toContain('connected_slaves:1')
    expect(master).not.toBe(replica)
    expect(await (await acquireLease(backend, name, {})).release()).toBe('released')
  })

  it('says how many replicas there are when the node that took over has too few and all its time is over', async () => {
    // Longer than a command may take: the new node grants nothing as yet, and replicas are what it lacks all the same.
    const backend = opening(2, 60_000)
    await acquireLease(backend, name, {}).catch(() => undefined)
    const [, replica] = await owners()
    await admins[cluster.nodes.indexOf(replica)]?.cluster('FAILOVER')
    await expect.poll(async () => (await owners())[0], { timeout: 60_000 }).toBe(replica)
    await wellReplicated()
    await expect(acquireLease(backend, name, {})).rejects.toThrow(
      'not replicated enough: 1 of 2 needed replicas acknowledged',
    )
  })

  it('is one of many at once', async () => {
    const backend = opening(1)
    const leases = await Promise.all(Array.from({ length: 100 }, () => acquireLease(backend, randomUUID(), {})))
    expect(new Set(await Promise.all(leases.map(lease => lease.release())))).toEqual(new Set(['released']))
  })
})
