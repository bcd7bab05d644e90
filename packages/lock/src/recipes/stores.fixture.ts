import type { Cell } from '@holdfast/core'
import { systemClock, updateIfUnchanged } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { postgresBackend, sqlRow } from '@holdfast/core/postgres'
import { admitRedisQuorum, redisBackend, redisQuorumBackend, redisValue } from '@holdfast/core/redis'
import { zookeeperBackend, zookeeperNode } from '@holdfast/core/zookeeper'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import type { Servers, Store, Update } from './store.fixture.ts'
import { TTL_MS } from './store.fixture.ts'

interface Row {
  readonly count: number
}

const ROOT = '/recipes'

const memory: Store = {
  name: 'memory',
  column: 'memory',
  leases: 'ttl',
  failsOver: false,
  hasLinks: false,
  start: async () => {
    const world = new MemoryWorld(systemClock)
    return {
      ports: [],
      open: () => memoryBackend({ world }),
      stop: async () => {},
    }
  },
}

const redis: Store = {
  name: 'Redis',
  column: 'Redis',
  leases: 'ttl',
  failsOver: false,
  hasLinks: true,
  start: async () => {
    const server = await startRedis()
    const client = new Redis(server.url)
    return {
      ports: [server.port],
      open: portOf => redisBackend({ url: `redis://127.0.0.1:${portOf(server.port)}` }),
      own: async (_, key) => updateOfKey(client, key),
      stop: async () => {
        client.disconnect()
        await server.stop()
      },
    }
  },
}

const quorum: Store = {
  name: 'a quorum of Redis servers',
  column: 'quorum',
  leases: 'ttl',
  failsOver: false,
  hasLinks: true,
  start: async () => {
    const servers = await Promise.all([startRedis(), startRedis(), startRedis()])
    const nodesBy = (portOf: (port: number) => number) =>
      servers.map(({ port }) => ({ url: `redis://127.0.0.1:${portOf(port)}` }))
    await admitRedisQuorum({ nodes: nodesBy(port => port) })
    return {
      ports: servers.map(({ port }) => port),
      open: portOf => redisQuorumBackend({ nodes: nodesBy(portOf) }),
      stop: async () => void (await Promise.all(servers.map(server => server.stop()))),
    }
  },
}

const postgres: Store = {
  name: 'PostgreSQL',
  column: 'PostgreSQL',
  leases: 'ttl',
  failsOver: false,
  hasLinks: true,
  start: async () => {
    const server = await startPostgres()
    const pool = new Pool({ connectionString: server.url, max: 4 })
    pool.on('error', () => {})
    await pool.query('CREATE TABLE own (name text PRIMARY KEY, count integer DEFAULT 0, version bigint DEFAULT 1)')
    return {
      ports: [server.port],
      open: portOf => {
        const url = new URL(server.url)
        url.port = String(portOf(server.port))
        return postgresBackend({ url: url.href })
      },
      own: async (_, name) => {
        await pool.query('INSERT INTO own (name) VALUES ($1) ON CONFLICT DO NOTHING', [name])
        const row = sqlRow<Row>(pool, { table: 'own', key: { name }, unchanged: { version: 'version' } })
        return (next, options) =>
          updateIfUnchanged(row, async (before = { count: 0 }) => ({ count: await next(before.count) }), options)
      },
      stop: async () => {
        await pool.end()
        await server.stop()
      },
    }
  },
}

const zookeeper: Store = {
  name: 'ZooKeeper',
  column: 'ZooKeeper',
  leases: 'session',
  failsOver: false,
  hasLinks: true,
  start: async () => {
    const server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
    return { ...zooKeepers([server.port]), stop: () => server.stop() }
  },
}

/** What parties do with ZooKeepers at these ports. */
export function zooKeepers(ports: readonly number[]): Omit<Servers, 'stop'> {
  return {
    ports,
    open: portOf => {
      const connect = ports.map(port => `127.0.0.1:${portOf(port)}`).join(',')
      return zookeeperBackend({ connect, root: ROOT, sessionTimeoutMs: TTL_MS })
    },
    own: async (backend, name) => updateOfBytes(zookeeperNode(backend, `${ROOT}-own-${name}`)),
  }
}

/** Those of which no server takes the place of another. */
export const STORES: readonly Store[] = [memory, redis, quorum, postgres, zookeeper]

export function updateOfKey(client: Redis, key: string): Update {
  const cell = redisValue(client, key)
  return (next, options) => updateIfUnchanged(cell, async text => String(await next(Number(text ?? 0))), options)
}

export function updateOfBytes(cell: Cell<Uint8Array>): Update {
  const count = (bytes?: Uint8Array): number => (bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes)))
  const change = async (next: number | Promise<number>): Promise<Uint8Array> =>
    new TextEncoder().encode(String(await next))
  return (next, options) => updateIfUnchanged(cell, bytes => change(next(count(bytes))), options)
}
