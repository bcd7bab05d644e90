import Redlock from 'redlock'
import type { Contestant } from './contestant.ts'
import { TTL_MS } from './contestant.ts'
import { connectRedis } from './redis-client.ts'

/** redlock 5 as it comes (a retry every 200 ± 100 ms), but that it goes on trying: with its default it gives up after ten. */
export const redlock: Contestant = withSettings({ retryCount: -1 })

/** redlock 5 with a retry every 10 ± 5 ms. */
export const redlockTuned: Contestant = withSettings({ retryCount: -1, retryDelay: 10, retryJitter: 5 })

function withSettings(settings: ConstructorParameters<typeof Redlock>[1]): Contestant {
  return {
    async connect(address) {
      const locks = new Redlock(await Promise.all(address.split(',').map(connectRedis)), settings)
      return {
        async acquire(name) {
          let lock = await locks.acquire([name], TTL_MS)
          return {
            release: () => lock.release(),
            renew: async () => {
              lock = await lock.extend(TTL_MS)
            },
          }
        },
      }
    },
  }
}
