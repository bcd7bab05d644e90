// The driver has no types of its own. This is what the example uses of it.
declare module 'node-zookeeper-client' {
  export interface Exception extends Error {
    getCode(): number
  }
  export interface Stat {
    /** Eight bytes: the transaction that made the node. */
    readonly czxid: Buffer
  }
  export interface Transaction {
    create(path: string, data: Buffer): Transaction
    setData(path: string, data: Buffer): Transaction
    commit(callback: (error: Exception | null) => void): void
  }
  export interface Client {
    connect(): void
    close(): void
    once(event: 'expired', listener: () => void): void
    mkdirp(path: string, data: Buffer, callback: (error: Exception | null) => void): void
    getData(path: string, callback: (error: Exception | null, data: Buffer, stat: Stat) => void): void
    getChildren(path: string, callback: (error: Exception | null, children: string[]) => void): void
    exists(path: string, callback: (error: Exception | null, stat: Stat | null) => void): void
    remove(path: string, callback: (error: Exception | null) => void): void
    transaction(): Transaction
  }
  const driver: {
    createClient(connectString: string, options: { readonly sessionTimeout: number }): Client
    readonly Exception: Readonly<
      Record<'CONNECTION_LOSS' | 'NO_NODE' | 'OPERATION_TIMEOUT' | 'SESSION_EXPIRED', number>
    >
  }
  export default driver
}
