import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '@holdfast/core'
import type { FaultProxy } from '@holdfast/core/testing'
import { createFaultProxy } from '@holdfast/core/testing'
import type { Locks } from '../index.ts'
import { createLocks } from '../index.ts'
import type { Servers, Store } from './store.fixture.ts'
import { TTL_MS } from './store.fixture.ts'

/** One process among those of a case. */
export interface Party {
  readonly backend: Backend
  readonly locks: Locks
}

/** A party whose links can be cut. */
export interface FragileParty extends Party {
  /** No byte comes through any more, and no connection ends. */
  fallSilent(): void
  /** Its connections end, and new ones are let through again. */
  comeBack(): void
}

const LOOKS_MAX = 10_000
const LOOK_MS = 10

/** Where one case is played: names that nobody else has, and parties that are gone when it ends. */
export class Scene implements AsyncDisposable {
  readonly name: string = randomUUID()
  readonly store: Store
  readonly servers: Servers
  /** For recipes that are given a `ttlMs` of their own. */
  readonly ttl: { readonly ttlMs?: number }
  readonly #ends: (() => Promise<unknown>)[] = []

  constructor(store: Store, servers: Servers) {
    this.store = store
    this.servers = servers
    this.ttl = store.leases === 'ttl' ? { ttlMs: TTL_MS } : {}
  }

  party(): Party {
    return this.#opened(port => port)
  }

  async fragile(): Promise<FragileParty> {
    const proxies = new Map<number, FaultProxy>()
    for (const port of this.servers.ports) {
      const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port } })
      this.#ends.push(() => proxy.close())
      proxies.set(port, proxy)
    }
    return {
      ...this.#opened(port => proxies.get(port)?.port ?? port),
      fallSilent: () => proxies.forEach(proxy => proxy.hold()),
      comeBack: () =>
        proxies.forEach(proxy => {
          proxy.dropConnections()
          proxy.heal()
        }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A link that is silent would keep its backend from closing for a while.
    for (const end of this.#ends) await end()
  }

  #opened(portOf: (port: number) => number): Party {
    const backend = this.servers.open(portOf)
    this.#ends.push(() => backend.close())
    return { backend, locks: createLocks({ backend, ...this.ttl }) }
  }
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let look = 0; !(await isSo()); look += 1) {
    if (look > LOOKS_MAX) throw new Error('It never came to be so.')
    await sleep(LOOK_MS)
  }
}

/** Counts who is inside of something at a time. */
export class Room {
  #inside = 0
  most = 0
  visits = 0

  async visit(): Promise<void> {
    this.#inside += 1
    this.visits += 1
    this.most = Math.max(this.most, this.#inside)
    await sleep(2)
    this.#inside -= 1
  }
}
