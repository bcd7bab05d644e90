import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import type { Client as Driver } from 'node-zookeeper-client'
import zookeeper from 'node-zookeeper-client'
import type { Contestant, Held } from './contestant.ts'
import { TTL_MS } from './contestant.ts'

const DATA = Buffer.from('127.0.0.1')

/**
 * Curator's algorithm, by hand over the raw client, one call after another: create, getChildren, watch the predecessor with
 * getData, look again, delete. Its nodes have Curator's names, but it does nothing with them: it has no protected create, no
 * deadline and no fencing token.
 */
export const rawZooKeeper: Contestant = {
  async connect(address) {
    const driver = zookeeper.createClient(address, { sessionTimeout: TTL_MS })
    await new Promise<void>(resolve => {
      driver.once('connected', resolve)
      driver.connect()
    })
    const lock = new RawLock(driver)
    return {
      prepare: name => promisify(driver.mkdirp.bind(driver))(pathOf(name)),
      acquire: name => lock.acquire(name),
    }
  },
}

class RawLock {
  readonly #driver: Driver
  readonly #remove: (path: string) => Promise<unknown>

  constructor(driver: Driver) {
    this.#driver = driver
    this.#remove = promisify(driver.remove.bind(driver))
  }

  async acquire(name: string): Promise<Held> {
    const parent = pathOf(name)
    const path = await this.#create(`${parent}/_c_${randomUUID()}-lock-`)
    const node = path.slice(parent.length + 1)
    for (;;) {
      const children = (await this.#children(parent)).toSorted(bySequence)
      const predecessor = children[children.indexOf(node) - 1]
      if (predecessor === undefined) return { release: () => this.#remove(path) }
      await this.#gone(`${parent}/${predecessor}`)
    }
  }

  #create(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#driver.create(path, DATA, zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL, (error, created) => {
        if (error) reject(error)
        else resolve(created)
      })
    })
  }

  #children(path: string): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#driver.getChildren(path, (error, children) => {
        if (error) reject(error)
        else resolve(children)
      })
    })
  }

  // By getData as Curator does, since a watch of exists stays behind on a node that is gone.
  #gone(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const onReply = (error: (Error & { readonly code?: number }) | null): void => {
        if (error?.code === zookeeper.Exception.NO_NODE) resolve()
        else if (error) reject(error)
      }
      this.#driver.getData(path, () => resolve(), onReply)
    })
  }
}

function bySequence(a: string, b: string): number {
  return Number(a.slice(-10)) - Number(b.slice(-10))
}

function pathOf(name: string): string {
  return `/bench/${name}`
}
