import type { OwnServer } from '@holdfast/scripts/servers'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import type { Store } from './contestants/index.ts'
import { place } from './placement.ts'

interface Started {
  readonly server: OwnServer
  /** Where contestants connect to. */
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
    return (await this.#start(store)).server.port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#started.values()].map(async started => (await started).server.stop()))
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
    const server = await startRedis()
    place('server', server.pid)
    return { server, address: server.url }
  },
  zookeeper: async () => {
    const server = await startZooKeeper()
    return { server, address: server.connectString }
  },
  postgres: async () => {
    const server = await startPostgres()
    return { server, address: server.url }
  },
}
