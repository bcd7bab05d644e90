import type { RedisServer, ZooKeeperServer } from '@holdfast/scripts/servers'
import { startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import type { Store } from './contestants/index.ts'
import { place } from './placement.ts'

/** Servers of the suite's own, started when first asked for. Redis keeps nothing on disk, ZooKeeper does not wait for it. */
export class Servers implements AsyncDisposable {
  #redis: Promise<RedisServer> | undefined
  #zookeeper: Promise<ZooKeeperServer> | undefined

  /** Where contestants connect to. */
  async addressOf(store: Store): Promise<string> {
    return store === 'redis' ? (await this.#startRedis()).url : (await this.#startZooKeeper()).connectString
  }

  async portOf(store: Store): Promise<number> {
    return store === 'redis' ? (await this.#startRedis()).port : (await this.#startZooKeeper()).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([
      this.#redis?.then(server => server.stop()),
      this.#zookeeper?.then(server => server.stop()),
    ])
  }

  #startRedis(): Promise<RedisServer> {
    this.#redis ??= placed(startRedis())
    return this.#redis
  }

  #startZooKeeper(): Promise<ZooKeeperServer> {
    this.#zookeeper ??= startZooKeeper()
    return this.#zookeeper
  }
}

async function placed(starting: Promise<RedisServer>): Promise<RedisServer> {
  const server = await starting
  place('server', server.pid)
  return server
}
