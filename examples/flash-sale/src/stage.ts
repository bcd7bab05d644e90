import { randomBytes } from 'node:crypto'
import { sharedRedis, sharedZooKeeper } from '@holdfast/scripts/servers'
import type { Crew, CrewOptions } from './crew/crew.ts'
import { hireProcesses } from './crew/processes.ts'
import { hireTasks } from './crew/tasks.ts'
import type { BackendName } from './options.ts'
import { MemoryShelf } from './shop/memory.ts'
import type { RemoteShopAddress } from './shop/open-shop.ts'
import { openShop } from './shop/open-shop.ts'
import type { Shop } from './shop/shop.ts'

/** Where the story plays: a store with the goods in it, and workers that fit to it. */
export interface Stage extends AsyncDisposable {
  /** For whoever keeps the books: it never sells. */
  readonly shop: Shop
  hire(options: CrewOptions): Crew
}

export async function setStage(backend: BackendName): Promise<Stage> {
  if (backend === 'memory') {
    const shelf = new MemoryShelf()
    return stageOn(await openShop(shelf, BOOKKEEPING), options => hireTasks(shelf, options))
  }
  const { address, stop } = await placeOn(backend)
  try {
    return stageOn(await openShop(address, BOOKKEEPING), options => hireProcesses(address, options), stop)
  } catch (error) {
    await stop()
    throw error
  }
}

const BOOKKEEPING = { isFenced: true }

interface Place {
  readonly address: RemoteShopAddress
  /** Stops the server if it is our own. */
  readonly stop: () => Promise<void>
}

async function placeOn(backend: Exclude<BackendName, 'memory'>): Promise<Place> {
  // Of this run alone: the server may be somebody's own.
  const name = `flash-sale-${randomBytes(6).toString('hex')}`
  if (backend === 'redis') {
    const server = await sharedRedis()
    return { address: { kind: 'redis', url: server.url, prefix: name }, stop: () => server.stop() }
  }
  const server = await sharedZooKeeper()
  return { address: { kind: 'zookeeper', connect: server.connectString, root: `/${name}` }, stop: () => server.stop() }
}

function stageOn(shop: Shop, hire: Stage['hire'], stopServer: () => Promise<void> = async () => {}): Stage {
  const crews: Crew[] = []
  return {
    shop,
    hire: options => {
      const crew = hire(options)
      crews.push(crew)
      return crew
    },
    [Symbol.asyncDispose]: async () => {
      // Nobody may be left who could write after the sweep.
      await Promise.all(crews.map(crew => crew.dismiss()))
      try {
        await shop.cleanUp()
      } finally {
        await shop.close()
        await stopServer()
      }
    },
  }
}
