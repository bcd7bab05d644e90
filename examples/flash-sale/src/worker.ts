import { createLocks } from '@holdfast/lock'
import type { Seller } from './sell-one.ts'
import { sellOne } from './sell-one.ts'
import type { ShopAddress } from './shop/open-shop.ts'
import { openShop } from './shop/open-shop.ts'
import type { Shop, ShopOptions } from './shop/shop.ts'

/** The life of one worker: enters the shop, sells until nothing is left, leaves. Never rejects: what goes wrong is told. */
export async function work(seller: Seller, address: ShopAddress, options: ShopOptions): Promise<void> {
  try {
    const shop = await openShop(address, options)
    try {
      seller.tell({ kind: 'ready' })
      await seller.doorsOpen
      await sellOut(seller, shop)
    } finally {
      await shop.close()
    }
    seller.tell({ kind: 'done' })
  } catch (error) {
    seller.tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

async function sellOut(seller: Seller, shop: Shop): Promise<void> {
  const locks = createLocks({ backend: shop.backend })
  for (;;) {
    seller.tell({ kind: 'asked' })
    if ((await sellOne(locks, shop, seller)) === 'sold-out') return
  }
}
