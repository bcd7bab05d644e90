import { admitRedisQuorum } from '@holdfast/core/redis'
import type { OwnServer, RedisServer } from '@holdfast/scripts/servers'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import type { Store } from './contestants/index.ts'
import { place } from './placement.ts'

interface Started {
  readonly servers: readonly [OwnServer, ...OwnServer[]]
  /** Where contestants connect to; of a quorum all, with commas between. */
  readonly address: string
}

/**
 * Servers of the suite's own, started when first asked for. Redis keeps nothing on disk, ZooKeeper and PostgreSQL do not wait for it.
 */
export class Servers implements AsyncDisposable {
  readonly #started = new Map<Store, Promise<Started>>()

  async addressOf(store: Store): Promise<string> {
    return (await this.#start(store)).address
  }

  async portOf(store: Store): Promise<number> {
    return (await this.#start(store)).servers[0].port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const started = await Promise.allSettled(this.#started.values())
    const servers = started.flatMap(each => (each.status === 'fulfilled' ? each.value.servers : []))
    await Promise.allSettled(servers.map(server => server.stop()))
  }

  #start(store: Store): Promise<Started> {
    const known = this.#started.get(store)
    if (known !== undefined) return known
    const starting = STARTS[store]()
    this.#started.set(store, starting)
    return starting
  }
}

const STARTS: Readonly<Record<Store, () => Promise<Started>>> = {
  redis: async () => {
    const server = await startPlacedRedis()
    return { servers: [server], address: server.url }
  },
  'redis-quorum': () => startQuorum(false),
  'redis-quorum-fenced': () => startQuorum(true),
  zookeeper: async () => {
    const server = await startZooKeeper()
    return { servers: [server], address: server.connectString }
  },
  postgres: async () => {
    const server = await startPostgres()
    return { servers: [server], address: server.url }
  },
}

// They are new, and nobody else's: there is nothing that they could have forgotten, so nothing to wait for.
async function startQuorum(fencing: boolean): Promise<Started> {
  const servers = await Promise.all([startPlacedRedis(), startPlacedRedis(), startPlacedRedis()])
  const nodes = servers.map(({ url }) => ({ url }))
  await admitRedisQuorum({ nodes, fencing })
  return { servers, address: nodes.map(({ url }) => url).join(',') }
}

async function startPlacedRedis(): Promise<RedisServer> {
  const server = await startRedis()
  place('server', server.pid)
  return server
}
