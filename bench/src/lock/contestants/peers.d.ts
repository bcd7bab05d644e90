// Those peers that bring no types that this compiler finds: only what is used of them.

declare module 'redlock' {
  import type { Redis } from 'ioredis'

  interface Lock {
    release(): Promise<unknown>
    extend(durationMs: number): Promise<Lock>
  }

  export default class Redlock {
    constructor(
      clients: readonly Redis[],
      settings: { readonly retryCount?: number; readonly retryDelay?: number; readonly retryJitter?: number },
    )
    acquire(resources: string[], durationMs: number): Promise<Lock>
  }
}

declare module 'node-zookeeper-client' {
  type Callback<T> = (error: Error | null, value: T) => void

  export interface Client {
    once(event: 'connected', listener: () => void): void
    connect(): void
    mkdirp(path: string, callback: Callback<string>): void
    create(path: string, data: Buffer, mode: number, callback: Callback<string>): void
    getChildren(path: string, callback: Callback<string[]>): void
    getData(path: string, watcher: () => void, callback: Callback<Buffer | undefined>): void
    setData(path: string, data: Buffer, version: number, callback: (error: Error | null) => void): void
    remove(path: string, callback: Callback<void>): void
    close(): void
  }

  const zookeeper: {
    createClient(connectString: string, options?: { readonly sessionTimeout?: number }): Client
    readonly CreateMode: { readonly EPHEMERAL_SEQUENTIAL: number }
    readonly Exception: { readonly NO_NODE: number }
  }
  export default zookeeper
}
