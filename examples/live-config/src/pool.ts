import type { NamespaceValue, Participant } from '@holdfast/config-client'
import type { service } from './namespace.ts'

/** Connections to something, here only counted. */
class Pool {
  readonly max: number
  #inUse = 0

  constructor(max: number) {
    this.max = max
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inUse >= this.max) throw new Error('the pool is exhausted')
    this.#inUse += 1
    try {
      return await work()
    } finally {
      this.#inUse -= 1
    }
  }
}

/** The pool in use. A new one is opened beside the old one, and takes its place when everything else agrees as well. */
export class PoolHolder implements Participant<NamespaceValue<typeof service>> {
  readonly name = 'pool'
  /** More than this the database would not take. */
  readonly #connectionsMax: number
  #pool: Pool

  constructor(max: number, connectionsMax: number) {
    this.#pool = new Pool(max)
    this.#connectionsMax = connectionsMax
  }

  get current(): Pool {
    return this.#pool
  }

  prepare({ next }: { readonly next: NamespaceValue<typeof service> }): { commit(): void; rollback(): void } {
    if (next.pool.max > this.#connectionsMax) {
      throw new Error(`the database takes ${this.#connectionsMax} connections, not ${next.pool.max}`)
    }
    const old = this.#pool
    const fresh = new Pool(next.pool.max)
    return {
      commit: () => void (this.#pool = fresh),
      rollback: () => void (this.#pool = old),
    }
  }
}
