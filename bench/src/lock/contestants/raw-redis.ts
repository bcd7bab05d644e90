import { randomBytes } from 'node:crypto'
import type { Contestant } from './contestant.ts'
import { TTL_MS } from './contestant.ts'
import { connectRedis } from './redis-client.ts'

const COMPARE_AND_DELETE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/**
 * The least that a lock on Redis can be, by hand: SET NX PX and a compare-and-delete. It cannot wait, has no fencing token and no
 * deadline; its owners are a random prefix and a counter, since drawing each anew would cost it up to 31 %.
 */
export const rawRedis: Contestant = {
  async connect(address) {
    const redis = await connectRedis(address)
    const sha = String(await redis.script('LOAD', COMPARE_AND_DELETE))
    const prefix = randomBytes(12).toString('hex')
    let count = 0
    return {
      async acquire(name) {
        const owner = `${prefix}${(count += 1)}`
        const answer = await redis.set(name, owner, 'PX', TTL_MS, 'NX')
        if (answer !== 'OK') throw new Error(`The raw lock ${name} was held by another.`)
        return { release: () => redis.evalsha(sha, 1, name, owner) }
      },
    }
  },
}
