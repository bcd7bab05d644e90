import { setTimeout as sleep } from 'node:timers/promises'
import { redisBackend } from '@holdfast/core/redis'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedisCluster, startRedisSentinel, startZooKeeperEnsemble } from '@holdfast/scripts/servers'
import { Cluster, Redis } from 'ioredis'
import type { Failover, Store } from './store.fixture.ts'
import { updateOfKey, zooKeepers } from './stores.fixture.ts'

const HOST = '127.0.0.1'
const SLOTS = 16_384
// A failover finds what was granted: a copy acknowledged it.
const COPIED = { replicas: 'majority', commandTimeoutMs: 10_000 } as const
/** A key in the first third of the slots. */
const KEY_OF_FIRST = 'b'
const TOOK_OVER_MS_MAX = 120_000

const sentinel: Store = {
  name: 'Redis behind Sentinel',
  column: 'Sentinel',
  leases: 'ttl',
  failsOver: true,
  hasLinks: true,
  start: async () => {
    const watched = await startRedisSentinel({ downAfterMs: 4_000, args: ['--repl-ping-replica-period', '1'] })
    const place = { sentinels: watched.sentinels.map(({ port }) => ({ host: HOST, port })), name: watched.name }
    const ports = watched.servers.map(({ port }) => port)
    const user = new Redis(place)
    user.on('error', () => {})
    return {
      ports,
      open: portOf => {
        const client = new Redis({ ...place, natMap: natMapOf(ports, portOf), lazyConnect: true })
        client.on('error', () => {})
        return redisBackend({ client, ...COPIED })
      },
      own: async (_, key) => updateOfKey(user, key),
      failover: {
        concerns: async () => true,
        kill: async () => {
          const port = await watched.masterPort()
          await watched.servers.find(server => server.port === port)?.kill()
          await until(async () => ![port, undefined].includes(await watched.masterPort()))
        },
      },
      stop: async () => {
        user.disconnect()
        await watched.stop()
      },
    }
  },
}

const cluster: Store = {
  name: 'Redis Cluster',
  column: 'Cluster',
  leases: 'ttl',
  failsOver: true,
  hasLinks: true,
  start: async () => {
    const started = await startRedisCluster({
      replicas: 1,
      nodeTimeoutMs: 4_000,
      args: ['--cluster-require-full-coverage', 'no', '--repl-ping-replica-period', '1'],
    })
    const ports = started.nodes.map(({ port }) => port)
    const nodes = ports.map(port => ({ host: HOST, port }))
    const user = new Cluster(nodes)
    const failover = failoverOf(started.nodes)
    user.on('error', () => {})
    return {
      ports,
      open: portOf => {
        const client = new Cluster(nodes, { natMap: natMapOf(ports, portOf), lazyConnect: true })
        client.on('error', () => {})
        const backend = redisBackend({ client, commandTimeoutMs: 10_000 })
        backend.health.subscribe(health => void (health.kind === 'closed' && client.disconnect()))
        return backend
      },
      own: async (_, key) => updateOfKey(user as never, key),
      failover,
      stop: async () => {
        user.disconnect()
        failover.end()
        await started.stop()
      },
    }
  },
}

const ensemble: Store = {
  name: 'an ensemble of three ZooKeepers',
  column: 'ZooKeeper',
  leases: 'session',
  failsOver: true,
  hasLinks: true,
  start: async () => {
    const started = await startZooKeeperEnsemble({ tickTime: 200, minSessionTimeoutMs: 400 })
    return {
      ...zooKeepers(started.servers.map(({ port }) => port)),
      failover: {
        concerns: async () => true,
        kill: async () => {
          await (await started.leader())?.kill()
          await until(async () => (await started.leader()) !== undefined)
        },
      },
      stop: () => started.stop(),
    }
  },
}

/** Those of which a server takes the place of one that died. */
export const REPLICATED_STORES: readonly Store[] = [sentinel, cluster, ensemble]

// Of the first of the masters, which has the first third of the slots; the second one is asked.
function failoverOf([first, second]: readonly RedisServer[]): Failover & { end(): void } {
  const asked = new Redis(second?.url ?? '', { lazyConnect: true })
  const portOfFirstSlots = async (): Promise<number | undefined> => {
    const ranges = await asked.cluster('SLOTS')
    return ranges.find(([from]) => from === 0)?.[2]?.[1]
  }
  return {
    concerns: async name => Number(await asked.cluster('KEYSLOT', name)) < Math.floor(SLOTS / 3),
    kill: async () => {
      // With one replica each, a master that took over has none to wait for: the dead one's has to have it all.
      const writer = new Redis(first?.url ?? '')
      await writer.set(KEY_OF_FIRST, '')
      await writer.wait(1, 60_000)
      writer.disconnect()
      await first?.kill()
      await until(async () => ![first?.port, undefined].includes(await portOfFirstSlots()))
    },
    end: () => asked.disconnect(),
  }
}

function natMapOf(
  ports: readonly number[],
  portOf: (port: number) => number,
): Readonly<Record<string, { host: string; port: number }>> {
  return Object.fromEntries(ports.map(port => [`${HOST}:${port}`, { host: HOST, port: portOf(port) }]))
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await isSo()); waitedMs += 50) {
    if (waitedMs > TOOK_OVER_MS_MAX) throw new Error('Nobody took over.')
    await sleep(50)
  }
}
