import type { ConfigState } from '@holdfast/config-client'
import type { Address } from './address.ts'

/** What a process is told to do, and what it answers. */
export interface Orders {
  publish: { with: PublishOrder; answer: PublishReport }
  /** Opens readers, each with a client of its own; answers when they run. */
  read: { with: ReadOrder; answer: undefined }
  /** What they have seen so far. */
  seen: { with: undefined; answer: readonly ReaderReport[] }
  close: { with: undefined; answer: undefined }
}

export type OrderName = keyof Orders

export interface PublishOrder {
  readonly address: Address
  readonly app: string
  readonly author: string
  /** How many releases it is to bring about. */
  readonly count: number
  /** Whether it says which revision it has read. */
  readonly expects: boolean
}

export interface PublishReport {
  readonly published: number
  readonly conflicts: number
  /** Publishes that had to be asked for again because no answer came. */
  readonly repeats: number
  /** The first few errors that should not be. */
  readonly failures: readonly string[]
}

export interface ReadOrder {
  readonly address: Address
  readonly app: string
  readonly readers: number
  readonly seed: number
  readonly reconcileMs: number
}

/** One reader. */
export interface ReaderReport {
  readonly state: ConfigState
  readonly detail: string
  /** The release in use, and the value read from it. */
  readonly number: number
  readonly value: number
  /** How many releases it has applied. */
  readonly applied: number
  /** A sentence for each apply that should not have been. */
  readonly wrong: readonly string[]
}

/** From the parent. */
export interface OrderMessage {
  readonly id: number
  readonly name: OrderName
  readonly with: unknown
}

/** To the parent. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly published: number }
  | { readonly kind: 'mishap'; readonly message: string }
  | { readonly kind: 'answered'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
