import type { Fenced } from '@holdfast/core'
import { StaleTokenError } from '@holdfast/core'
import type { Locks } from '@holdfast/lock'
import type { Deed } from './happening.ts'
import type { Pace } from './pace.ts'
import { STOCK } from './sale.ts'
import type { Shop } from './shop/shop.ts'

/** Somebody who sells: who it is, when to begin, how fast the customers are, and whom it tells. */
export interface Seller {
  readonly worker: number
  readonly doorsOpen: Promise<void>
  readonly pace: Pace
  readonly tell: (deed: Deed) => void
}

/** Sells one item under the lock: reads the stock, lets the customer think, writes one less. */
export async function sellOne(locks: Locks, shop: Shop, seller: Seller): Promise<'sold' | 'sold-out' | 'refused'> {
  return await locks.using(
    STOCK,
    async lease => {
      // The token is taken now and goes with the write. Asking `lease.assertHeld()` right before the write would spare most stale
      // ones the trip, but a process can be stopped between that line and the next; only the store can still tell then.
      const fenced: Fenced = { resource: lease.resource, token: lease.token }
      const token = lease.token.value
      seller.tell({ kind: 'granted', token, guarantee: lease.guarantee })

      const left = await shop.readLeft()
      if (left <= 0) return 'sold-out'
      seller.tell({ kind: 'read', left })
      await seller.pace.think()

      // The new count is absolute: whoever writes it with an old reading in hand takes back the sales of all others in between.
      const sale = { worker: seller.worker, token: fenced.token, left: left - 1 }
      try {
        await shop.record(sale, fenced)
      } catch (error) {
        if (!(error instanceof StaleTokenError)) throw error
        seller.tell({ kind: 'refused', token, left: sale.left })
        return 'refused'
      }
      seller.tell({ kind: 'sold', token, left: sale.left })
      return 'sold'
    },
    shop.lock,
  )
}
