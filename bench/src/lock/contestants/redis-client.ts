import { once } from 'node:events'
import { Redis } from 'ioredis'

/** A client of ioredis with its defaults, connected. */
export async function connectRedis(address: string): Promise<Redis> {
  const redis = new Redis(address)
  // What goes wrong shows as a command that is refused.
  redis.on('error', () => {})
  if (redis.status !== 'ready') await once(redis, 'ready')
  return redis
}
