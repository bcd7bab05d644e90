import type { RemoteShopAddress } from '../shop/open-shop.ts'

/** What a worker process is told to do. */
export type Order =
  | { readonly kind: 'work'; readonly worker: number; readonly address: RemoteShopAddress; readonly isFenced: boolean }
  | { readonly kind: 'open-doors' }
  | { readonly kind: 'hesitate' }
