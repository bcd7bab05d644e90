import { redisBackend } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { ledgerKey } from '../worker/redis-ledger.ts'
import type { SingleSite } from './site.ts'

const PREFIX = 'hf-faults'
const TTL_MS = 1_000
const CLAIM_MS = 500
const COMMAND_TIMEOUT_MS = 5_000

/**
 * A Redis of our own. A durable one keeps what it acknowledged, so that an overlap on it is a violation; one that is to lose all
 * has a second one beside it for the protected data.
 */
export async function redisSite(options: { readonly isDurable: boolean }): Promise<SingleSite> {
  const server = await startRedis({ appendonly: options.isDurable ? 'always' : false })
  const data = options.isDurable ? server : await startRedis()
  const client = new Redis({ port: server.port, host: '127.0.0.1', retryStrategy: () => 50 })
  client.on('error', () => {})
  const observer = redisBackend({ url: server.url, prefix: PREFIX })
  const locks = createLocks({ backend: observer })
  return {
    kind: 'redis',
    port: server.port,
    ttlMs: TTL_MS,
    leaseMs: TTL_MS,
    claimMs: CLAIM_MS,
    place: ({ lockPort = server.port, dataPort = data.port }) => ({
      kind: 'redis',
      lockPort,
      dataPort,
      prefix: PREFIX,
      claimMs: CLAIM_MS,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
    }),
    leftovers: resource => leftovers(client, resource),
    waiters: async resource => (await locks.inspect(resource)).waiters.length,
    lastWrite: async resource => {
      const token = await client.lindex(ledgerKey(PREFIX, resource), -1)
      return token === null ? undefined : BigInt(token)
    },
    wipe: async () => void (await client.flushall()),
    restart: () => server.restart(),
    restartEmpty: () => server.restart({ keepData: false }),
    [Symbol.asyncDispose]: async () => {
      await observer.close()
      client.disconnect()
      await server.stop()
      if (data !== server) await data.stop()
    },
  }
}

// The state of a lock that nobody holds may stay, and is all digits: the last token keeps tokens growing should the server's clock
// be set back. Whatever else is kept is somebody's.
const IDLE = /^\d*$/

async function leftovers(client: Redis, resource: string): Promise<readonly string[]> {
  const keys = await client.keys(`${PREFIX}:*{${resource}}*`)
  const found: string[] = []
  for (const key of keys.filter(name => !name.includes(':ledger:') && !name.includes(':fence:'))) {
    const isIdle = (await client.type(key)) === 'string' && IDLE.test((await client.get(key)) ?? '')
    if (!isIdle) found.push(key)
  }
  return found
}
