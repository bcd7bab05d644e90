import { sharedRedis } from '@holdfast/scripts/servers'
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'

/** A place of its own on a Redis that may be the user's. */
export interface RedisScope {
  /** Names a new place. */
  env(): Readonly<Record<string, string>>
  /** Removes what is in those places. */
  remove(): Promise<void>
}

export async function redisScope(): Promise<RedisScope> {
  const server = await sharedRedis()
  const all = `cli-${randomBytes(6).toString('hex')}`
  let places = 0
  return {
    env() {
      places += 1
      const url = new URL(server.url)
      url.searchParams.set('prefix', `${all}-${places}`)
      return { HOLDFAST_BACKEND: url.href, HOLDFAST_APP: 'shop', HOLDFAST_ENV: 'test' }
    },
    async remove() {
      const client = new Redis(server.url)
      for await (const keys of client.scanStream({ match: `${all}-*`, count: 1_000 })) {
        if ((keys as string[]).length > 0) await client.unlink(keys as string[])
      }
      await client.quit()
      await server.stop()
    },
  }
}
