import { createRequire } from 'node:module'

/** The driver, as its own users use it: to show its faults, and to look at the server past the adapter. */
export interface RawDriver {
  createClient(connectString: string, options?: object): RawDriverClient
  readonly CreateMode: Readonly<Record<'EPHEMERAL' | 'EPHEMERAL_SEQUENTIAL' | 'PERSISTENT', number>>
  readonly Exception: Readonly<Record<string, number>>
}

type Callback = (error: { readonly code: number } | null, ...results: unknown[]) => void

/** A client of the driver; the methods that tests call. */
export interface RawDriverClient {
  readonly connectionManager: RawManager
  connect(): void
  close(): void
  on(event: string, listener: (...args: unknown[]) => void): void
  once(event: string, listener: (...args: unknown[]) => void): void
  getSessionTimeout(): number
  getState(): { readonly name: string }
  create(path: string, data: Buffer, mode: number, callback: Callback): void
  remove(path: string, callback: Callback): void
  mkdirp(path: string, callback: Callback): void
  getData(path: string, callback: Callback): void
  getData(path: string, watcher: () => void, callback: Callback): void
  getChildren(path: string, callback: Callback): void
  setData(path: string, data: Buffer | null, version: number, callback: Callback): void
  exists(path: string, callback: Callback): void
  transaction(): RawTransaction
}

export interface RawManager {
  xid: number
  connect: () => void
  readonly connectTimeoutHandler: NodeJS.Timeout | null
  readonly socket?: { destroy(): void }
}

export interface RawTransaction {
  check(path: string, version: number): RawTransaction
  setData(path: string, data: Buffer, version: number): RawTransaction
  commit(callback: Callback): void
}

export const rawDriver: RawDriver = createRequire(import.meta.url)('node-zookeeper-client') as RawDriver

/** The driver's client with promises. */
export class RawClient {
  readonly client: RawDriverClient

  constructor(connectString: string, options: object = {}) {
    this.client = rawDriver.createClient(connectString, { sessionTimeout: 10_000, retries: 0, ...options })
  }

  static async connect(connectString: string, options?: object): Promise<RawClient> {
    const raw = new RawClient(connectString, options)
    await new Promise<void>(resolve => {
      raw.client.once('connected', () => resolve())
      raw.client.connect()
    })
    return raw
  }

  close(): void {
    this.client.close()
  }

  /** Ends it without a word to the server, in whatever state it is. */
  end(): void {
    const manager = this.client.connectionManager
    manager.connect = () => {}
    clearTimeout(manager.connectTimeoutHandler ?? undefined)
    manager.socket?.destroy()
  }

  create(
    path: string,
    data: string | Uint8Array = '',
    mode: number = rawDriver.CreateMode.PERSISTENT,
  ): Promise<string> {
    return call(done => this.client.create(path, Buffer.from(data as Uint8Array), mode, done))
  }

  /** A contender as Curator makes one. */
  contend(directory: string, id = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'): Promise<string> {
    return this.create(`${directory}/_c_${id}-lock-`, '127.0.0.1', rawDriver.CreateMode.EPHEMERAL_SEQUENTIAL)
  }

  remove(path: string): Promise<void> {
    return call(done => this.client.remove(path, done))
  }

  /** The driver's own looks no further than the children. Whoever comes in between goes with the rest. */
  async removeTree(path: string): Promise<void> {
    const children = await this.children(path).catch(() => [])
    await Promise.all(children.map(child => this.removeTree(`${path}/${child}`)))
    await this.remove(path).catch(async (error: { readonly code: number }) => {
      if (error.code === rawDriver.Exception['NOT_EMPTY']) await this.removeTree(path)
    })
  }

  mkdirp(path: string): Promise<void> {
    return call(done => this.client.mkdirp(path, done))
  }

  children(path: string): Promise<string[]> {
    return call(done => this.client.getChildren(path, done))
  }

  bytes(path: string): Promise<Buffer> {
    return call(done => this.client.getData(path, done))
  }

  async text(path: string): Promise<string> {
    return String(await this.bytes(path))
  }

  write(path: string, data: string, version = -1): Promise<void> {
    return call(done => this.client.setData(path, Buffer.from(data), version, done))
  }
}

/** What a callback of the driver gets, as a promise. */
export function call<T>(run: (done: Callback) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    run((error, result) => (error === null || error === undefined ? resolve(result as T) : reject(error))),
  )
}
