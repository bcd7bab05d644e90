import type { MemoryShelf } from './memory.ts'
import type { RedisShopAddress } from './redis.ts'
import type { Shop, ShopOptions } from './shop.ts'
import type { ZooKeeperShopAddress } from './zookeeper.ts'

/** Which shop a worker is to open. All but the one in memory can be told to another process. */
export type ShopAddress = RemoteShopAddress | MemoryShelf
export type RemoteShopAddress = RedisShopAddress | ZooKeeperShopAddress

/** Opens a shop, as soon as its store answers. */
export async function openShop(address: ShopAddress, options: ShopOptions): Promise<Shop> {
  const shop = await shopAt(address, options)
  try {
    await shop.backend.ready()
    return shop
  } catch (error) {
    await shop.close()
    throw error
  }
}

// A driver is only loaded where it is needed.
async function shopAt(address: ShopAddress, options: ShopOptions): Promise<Shop> {
  switch (address.kind) {
    case 'memory':
      return (await import('./memory.ts')).memoryShop(address, options)
    case 'redis':
      return (await import('./redis.ts')).redisShop(address, options)
    case 'zookeeper':
      return (await import('./zookeeper.ts')).zookeeperShop(address, options)
  }
}
