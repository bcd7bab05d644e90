import { once } from 'node:events'
import { createRequire } from 'node:module'

interface Failure {
  readonly code: number
}

type Callback = (error: Failure | null | undefined, result?: unknown) => void

/** What we call of the driver's client. */
interface DriverClient {
  connect(): void
  close(): void
  on(event: 'connected' | 'disconnected' | 'expired', listener: () => void): void
  once(event: 'connected', listener: () => void): void
  getSessionTimeout(): number
  create(path: string, data: Buffer, mode: number, callback: Callback): void
  remove(path: string, version: number, callback: Callback): void
  mkdirp(path: string, callback: Callback): void
  getData(path: string, callback: Callback): void
  setData(path: string, data: Buffer, version: number, callback: Callback): void
  getChildren(path: string, callback: Callback): void
  exists(path: string, watcher: (() => void) | undefined, callback: Callback): void
}

interface Driver {
  createClient(
    connectString: string,
    options: { readonly sessionTimeout: number; readonly retries: number },
  ): DriverClient
  readonly CreateMode: Readonly<
    Record<'PERSISTENT' | 'PERSISTENT_SEQUENTIAL' | 'EPHEMERAL' | 'EPHEMERAL_SEQUENTIAL', number>
  >
  readonly Exception: Readonly<Record<'NO_NODE' | 'NODE_EXISTS' | 'NOT_EMPTY', number>>
}

const driver = createRequire(import.meta.url)('node-zookeeper-client') as Driver

export type NodeMode = keyof Driver['CreateMode']
export type NodeProblem = keyof Driver['Exception']

const ANY_VERSION = -1

/** The driver as it is, with all its faults: to look at the server past our adapter, and for controls. */
export class RawZooKeeper {
  readonly #client: DriverClient

  constructor(ports: readonly number[], sessionTimeoutMs: number = 30_000) {
    this.#client = driver.createClient(connectStringOf(ports), { sessionTimeout: sessionTimeoutMs, retries: 0 })
    this.#client.connect()
  }

  /** Returns when it is connected. Only to be called once, right after it was made. */
  async ready(): Promise<void> {
    await once(this.#client as unknown as NodeJS.EventEmitter, 'connected')
  }

  /** The negotiated one. */
  get sessionTimeoutMs(): number {
    return this.#client.getSessionTimeout()
  }

  onDisconnected(listener: () => void): void {
    this.#client.on('disconnected', listener)
  }

  onExpired(listener: () => void): void {
    this.#client.on('expired', listener)
  }

  /** The path that it got. Parents are made. */
  async create(path: string, data: string, mode: NodeMode): Promise<string> {
    const make = (): Promise<string> =>
      call(done => this.#client.create(path, Buffer.from(data), driver.CreateMode[mode], done))
    try {
      return await make()
    } catch (error) {
      if (!isProblem(error, 'NO_NODE')) throw error
      await call(done => this.#client.mkdirp(path.slice(0, path.lastIndexOf('/')), done))
      return await make()
    }
  }

  remove(path: string): Promise<void> {
    return call(done => this.#client.remove(path, ANY_VERSION, done))
  }

  async text(path: string): Promise<string> {
    return String(await call<Buffer>(done => this.#client.getData(path, done)))
  }

  /** The node's new version. */
  async write(path: string, data: string): Promise<number> {
    const stat = await call<{ version: number }>(done =>
      this.#client.setData(path, Buffer.from(data), ANY_VERSION, done),
    )
    return stat.version
  }

  children(path: string): Promise<readonly string[]> {
    return call(done => this.#client.getChildren(path, done))
  }

  /** Whether there is such a node; `watcher` is called when it changes. */
  async exists(path: string, watcher?: () => void): Promise<boolean> {
    const stat = await call<unknown>(done => this.#client.exists(path, watcher, done))
    return stat !== null && stat !== undefined
  }

  close(): void {
    this.#client.close()
  }
}

/** Of servers on this machine. */
export function connectStringOf(ports: readonly number[]): string {
  return ports.map(port => `127.0.0.1:${port}`).join(',')
}

/** Whether the server said so. */
export function isProblem(error: unknown, problem: NodeProblem): boolean {
  return error instanceof Error && 'code' in error && error.code === driver.Exception[problem]
}

function call<T>(run: (done: Callback) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, result) => {
      if (error === null || error === undefined) resolve(result as T)
      else reject(error instanceof Error ? error : Object.assign(new Error(`ZooKeeper answered ${error.code}.`), error))
    })
  })
}
