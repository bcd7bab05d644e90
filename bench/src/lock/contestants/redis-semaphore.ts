import { Mutex } from 'redis-semaphore'
import type { Contestant } from './contestant.ts'
import { TTL_MS } from './contestant.ts'
import { connectRedis } from './redis-client.ts'

/** redis-semaphore's Mutex as it comes (a retry every 10 ms), but with everybody's TTL, and that it waits for ever. */
export const redisSemaphore: Contestant = {
  async connect(address) {
    const redis = await connectRedis(address)
    const options = { lockTimeout: TTL_MS, acquireTimeout: Number.MAX_SAFE_INTEGER }
    return {
      async acquire(name) {
        const mutex = new Mutex(redis, name, options)
        await mutex.acquire()
        return mutex
      },
    }
  },
}
