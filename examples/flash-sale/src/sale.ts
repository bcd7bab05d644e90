import type { FencingToken } from '@holdfast/core'

/** What is sold, and the lock that whoever sells one must hold. */
export const STOCK = 'stock:42'

/** One item that a customer paid for. */
export interface Sale {
  /** Who sold it, from 1. */
  readonly worker: number
  /** Of the lease under which it was sold. */
  readonly token: FencingToken
  /** What the seller wrote to be left after it. */
  readonly left: number
}

/** What stands in the store: the count, and every sale in the order in which it was recorded. */
export interface Books {
  readonly left: number
  readonly sales: readonly Sale[]
}
