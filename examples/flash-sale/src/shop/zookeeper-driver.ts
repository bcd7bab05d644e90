import { createRequire } from 'node:module'

// The driver has no types of its own. This is what the example uses of it.

export interface Exception extends Error {
  getCode(): number
}

/** Calls back with an error and, where there is none, a value. */
export type Callback<T> = (error: Exception | null, value?: T) => void

export interface Stat {
  /** Eight bytes: the transaction that made the node. */
  readonly czxid: Buffer
}

export interface Transaction {
  create(path: string, data: Buffer): Transaction
  setData(path: string, data: Buffer): Transaction
  commit(callback: Callback<unknown>): void
}

export interface Client {
  connect(): void
  close(): void
  once(event: 'expired', listener: () => void): void
  mkdirp(path: string, data: Buffer, callback: Callback<unknown>): void
  getData(path: string, callback: (error: Exception | null, data: Buffer, stat: Stat) => void): void
  getChildren(path: string, callback: Callback<string[]>): void
  exists(path: string, callback: Callback<Stat | null>): void
  remove(path: string, callback: Callback<void>): void
  transaction(): Transaction
}

interface Driver {
  createClient(connectString: string, options: { readonly sessionTimeout: number }): Client
  readonly Exception: Readonly<Record<'CONNECTION_LOSS' | 'NO_NODE' | 'OPERATION_TIMEOUT' | 'SESSION_EXPIRED', number>>
}

/** node-zookeeper-client. */
export const driver: Driver = createRequire(import.meta.url)('node-zookeeper-client') as Driver
