import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '@holdfast/core/testing'
import { createFaultProxy } from '@holdfast/core/testing'
import type { OwnServer } from '@holdfast/scripts/servers'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'
import { monotonicMs } from '../monotonic.ts'
import type { BackendKind, SingleKind } from '../scenario.ts'
import type { Address } from './address.ts'
import { ConfigWorker } from './config-worker.ts'

/** A process, and the way by which it reaches the store. */
export interface Seat {
  readonly worker: ConfigWorker
  readonly address: Address
  readonly proxy: FaultProxy
}

/** Where one run about configuration takes place: a server of its own, processes, and proxies between them. */
export class ConfigStage implements AsyncDisposable {
  readonly kind: SingleKind
  readonly #workers: ConfigWorker[] = []
  readonly #proxies: FaultProxy[] = []
  #server: OwnServer | undefined
  #waitingFor = 'its first step'
  #isOver = false

  constructor(kind: BackendKind) {
    if (kind === 'sentinel' || kind === 'quorum' || kind === 'ensemble')
      throw new Error(`Configuration is played on one server, not on ${kind}.`)
    this.kind = kind
  }

  get waitingFor(): string {
    return this.#waitingFor
  }

  get mishaps(): readonly string[] {
    return this.#workers.flatMap(worker => worker.mishaps)
  }

  get proxies(): readonly FaultProxy[] {
    return this.#proxies
  }

  get server(): OwnServer {
    if (this.#server === undefined) throw new Error('The server was not started.')
    return this.#server
  }

  /** Where the store is, straight. */
  get address(): Address {
    if (this.kind === 'memory') throw new Error('There is no address in memory.')
    return { kind: this.kind, port: this.server.port }
  }

  /** Starts the server. A durable one keeps over a crash what it acknowledged. */
  async start(options: { readonly isDurable: boolean }): Promise<void> {
    this.#server = await this.step('the server', startServer(this.kind, options.isDurable))
  }

  /** So many processes, each with a link of its own. */
  async seats(count: number): Promise<readonly Seat[]> {
    return await this.step('the processes', Promise.all(Array.from({ length: count }, () => this.#seat())))
  }

  async #seat(): Promise<Seat> {
    const protocol = this.kind === 'zookeeper' ? 'zookeeper' : 'redis'
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: this.server.port }, protocol })
    this.#proxies.push(proxy)
    const worker = await ConfigWorker.start()
    this.#workers.push(worker)
    return { worker, proxy, address: { ...this.address, port: proxy.port } }
  }

  /** Waits for something, and says so should it never come. */
  async step<T>(what: string, work: Promise<T>): Promise<T> {
    this.#waitingFor = what
    return await work
  }

  /** Looks again and again until it is so; false when it is not within `boundMs`. */
  async becomes(what: string, isSo: () => boolean | Promise<boolean>, boundMs: number): Promise<boolean> {
    this.#waitingFor = what
    const endMs = monotonicMs() + boundMs
    while (!(await isSo())) {
      if (monotonicMs() >= endMs || this.#isOver) return false
      await sleep(20)
    }
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    for (const worker of this.#workers) worker.end()
    await Promise.all(this.#proxies.map(proxy => proxy.close()))
    await this.#server?.stop()
  }
}

async function startServer(kind: SingleKind, isDurable: boolean): Promise<OwnServer> {
  switch (kind) {
    case 'redis':
      return await startRedis({ appendonly: isDurable ? 'always' : false })
    case 'zookeeper':
      return await startZooKeeper()
    case 'postgres':
      return await startPostgres()
    case 'memory':
      throw new Error('Memory has no server.')
  }
}
