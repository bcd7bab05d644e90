import type { Fenced } from '@holdfast/core'
import type { MemoryFence } from '@holdfast/core/memory'
import { MemoryWorld, memoryBackend, memoryFence } from '@holdfast/core/memory'
import { systemClock } from '@holdfast/core'
import type { Books, Sale } from '../sale.ts'
import type { Shop, ShopOptions } from './shop.ts'

/** What the workers of one process share. */
export class MemoryShelf {
  readonly kind = 'memory'
  readonly world: MemoryWorld = new MemoryWorld(systemClock)
  readonly fence: MemoryFence = memoryFence()
  left = 0
  readonly sales: Sale[] = []
}

const TTL_MS = 1_000

export function memoryShop(shelf: MemoryShelf, { isFenced }: ShopOptions): Shop {
  const backend = memoryBackend({ world: shelf.world })
  // A task that hangs does not stop the timers of its process, so its lease would be renewed for ever: `holdMsMax` ends that.
  const lock = { ttlMs: TTL_MS, holdMsMax: TTL_MS }
  const write = (sale: Sale): void => {
    shelf.left = sale.left
    shelf.sales.push(sale)
  }
  return {
    backend,
    lock: isFenced ? { ...lock, guard: shelf.fence } : lock,
    readLeft: async () => shelf.left,
    record: async (sale: Sale, fenced: Fenced) => (isFenced ? shelf.fence.run(fenced, () => write(sale)) : write(sale)),
    stockUp: async count => {
      shelf.left = count
    },
    readBooks: async (): Promise<Books> => ({ left: shelf.left, sales: [...shelf.sales] }),
    cleanUp: async () => {},
    close: () => backend.close(),
  }
}
