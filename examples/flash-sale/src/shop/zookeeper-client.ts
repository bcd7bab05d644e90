import { NoAnswer } from './until-answered.ts'
import type { Callback, Client, Exception } from './zookeeper-driver.ts'
import { driver } from './zookeeper-driver.ts'

/** A write, as `zookeeperFence` takes it as well. */
export interface Write {
  readonly kind: 'create' | 'set'
  readonly path: string
  readonly data: string
}

/** A node's text, and the transaction that made it: bytes that compare as that number. */
export interface Node {
  readonly text: string
  readonly madeBy: Buffer
}

const SESSION_TIMEOUT_MS = 5_000
const ANSWER_MS = 2_000
const { CONNECTION_LOSS, NO_NODE, OPERATION_TIMEOUT, SESSION_EXPIRED } = driver.Exception

/**
 * A client for our own data: the driver's, with promises. The driver's client is dead once its session is over, which happens to
 * whoever was stopped for long, so it is replaced by a fresh one then. Every method rejects with `NoAnswer` when none came.
 */
export class ZooKeeperClient {
  readonly #connect: string
  #client: Client

  constructor(connect: string) {
    this.#connect = connect
    this.#client = this.#open()
  }

  async makeAll(path: string): Promise<void> {
    await this.#ask<unknown>((client, done) => client.mkdirp(path, Buffer.alloc(0), done))
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#ask<unknown>((client, done) => client.exists(path, done))) !== null
  }

  async read(path: string): Promise<Node> {
    return await this.#ask<Node>((client, done) => {
      client.getData(path, (error, data, stat) => {
        done(error, error === null ? { text: data.toString(), madeBy: stat.czxid } : undefined)
      })
    })
  }

  /** None where there is no such node. */
  async children(path: string): Promise<readonly string[]> {
    return await this.#ask<string[]>((client, done) => {
      client.getChildren(path, (error, children) => (isAbsence(error) ? done(null, []) : done(error, children)))
    })
  }

  /** All or nothing. */
  async write(writes: readonly Write[]): Promise<void> {
    await this.#ask<unknown>((client, done) => {
      const transaction = client.transaction()
      for (const { kind, path, data } of writes) {
        transaction[kind === 'set' ? 'setData' : 'create'](path, Buffer.from(data))
      }
      transaction.commit(done)
    })
  }

  /** A node and all below it. (The driver's own `removeRecursive` only sees the first level.) */
  async removeAll(path: string): Promise<void> {
    for (const child of await this.children(path)) await this.removeAll(`${path}/${child}`)
    await this.#ask<void>((client, done) => client.remove(path, error => done(isAbsence(error) ? null : error)))
  }

  close(): void {
    this.#client.close()
  }

  #ask<T>(run: (client: Client, done: Callback<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // The driver may keep a request for ever when its session ends.
      const late = new NoAnswer(`ZooKeeper at ${this.#connect} did not answer within ${ANSWER_MS} ms.`)
      const timer = setTimeout(() => reject(late), ANSWER_MS)
      run(this.#client, (error, value) => {
        clearTimeout(timer)
        if (error === null || error === undefined) resolve(value as T)
        else reject(isSilence(error) ? new NoAnswer(error.message, { cause: error }) : error)
      })
    })
  }

  #open(): Client {
    const client = driver.createClient(this.#connect, { sessionTimeout: SESSION_TIMEOUT_MS })
    client.once('expired', () => {
      this.#client = this.#open()
    })
    client.connect()
    return client
  }
}

// Somebody else may have removed it, or its session may have ended.
function isAbsence(error: Exception | null): boolean {
  return error?.getCode() === NO_NODE
}

function isSilence(error: Exception): boolean {
  return [CONNECTION_LOSS, OPERATION_TIMEOUT, SESSION_EXPIRED].includes(error.getCode())
}
