import type { Contestant } from './contestant.ts'
import { connectRedis } from './redis-client.ts'

/** The floor of a hand-off on Redis: a token in a list. Who holds it and dies takes it with him. */
export const blpop: Contestant = {
  async connect(address) {
    const redis = await connectRedis(address)
    return {
      prepare: name => redis.rpush(name, 'token'),
      async acquire(name) {
        await redis.blpop(name, 0)
        return { release: () => redis.rpush(name, 'token') }
      },
    }
  },
}
