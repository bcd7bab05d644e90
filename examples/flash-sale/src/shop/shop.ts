import type { Backend, Fenced } from '@holdfast/core'
import type { LockOptions } from '@holdfast/lock'
import type { Books, Sale } from '../sale.ts'

/** One worker's way to the stock. There is one implementation for each store, and each has the same methods in the same order. */
export interface Shop {
  readonly backend: Backend
  /** How the stock is locked. In the safe shop this names the `guard`, so that nobody is let in before all older tokens are refused. */
  readonly lock: LockOptions
  readLeft(): Promise<number>
  /**
   * Writes what is left and records the sale, in one step.
   *
   * @throws {StaleTokenError} when `fenced` has an older token than somebody who came after it; never in the unsafe shop
   */
  record(sale: Sale, fenced: Fenced): Promise<void>
  /** Before the sale: this many items are on the shelf. */
  stockUp(count: number): Promise<void>
  /** After the sale: what really stands in the store. */
  readBooks(): Promise<Books>
  /** Deletes everything of this sale and nothing else. */
  cleanUp(): Promise<void>
  close(): Promise<void>
}

/** Whether the writes of a shop go through the fence. */
export interface ShopOptions {
  readonly isFenced: boolean
}
