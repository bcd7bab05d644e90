import { Redis } from 'ioredis'
import type { Fenced } from '@holdfast/core'
import { FencingToken } from '@holdfast/core'
import type { RedisCommand } from '@holdfast/core/redis'
import { redisBackend, redisFence } from '@holdfast/core/redis'
import type { Books, Sale } from '../sale.ts'
import { STOCK } from '../sale.ts'
import type { Shop, ShopOptions } from './shop.ts'

/** Where a sale on Redis is. Everything of it is under the prefix. */
export interface RedisShopAddress {
  readonly kind: 'redis'
  readonly url: string
  readonly prefix: string
}

const TTL_MS = 1_500

export function redisShop({ url, prefix }: RedisShopAddress, { isFenced }: ShopOptions): Shop {
  const client = connect(url)
  const backend = redisBackend({ client, prefix })
  const fence = redisFence(client, { prefix })
  // The braces make it one slot of a Cluster for the lock, its fence and the data, so that one script may touch all of them.
  const leftKey = `${prefix}:{${STOCK}}:left`
  const salesKey = `${prefix}:{${STOCK}}:sales`
  return {
    backend,
    lock: isFenced ? { ttlMs: TTL_MS, guard: fence } : { ttlMs: TTL_MS },
    readLeft: async () => Number(await client.get(leftKey)),
    record: async (sale: Sale, fenced: Fenced) => {
      const commands: RedisCommand[] = [
        ['SET', leftKey, sale.left],
        ['RPUSH', salesKey, textOf(sale)],
      ]
      if (isFenced) await fence.apply({ ...fenced, commands })
      else await client.multi().set(leftKey, sale.left).rpush(salesKey, textOf(sale)).exec()
    },
    stockUp: async count => void (await client.set(leftKey, count)),
    readBooks: async (): Promise<Books> => ({
      left: Number(await client.get(leftKey)),
      sales: (await client.lrange(salesKey, 0, -1)).map(saleOf),
    }),
    cleanUp: () => deleteAll(client, prefix),
    close: async () => {
      await backend.close()
      client.disconnect()
    },
  }
}

// The client is ours, not the backend's: its errors and its end are for us to see to.
function connect(url: string): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: 1 })
  // Every command that fails says so itself.
  client.on('error', () => {})
  return client
}

function textOf({ worker, token, left }: Sale): string {
  return JSON.stringify({ worker, token, left })
}

function saleOf(text: string): Sale {
  const { worker, token, left } = JSON.parse(text) as { worker: number; token: string; left: number }
  return { worker, token: FencingToken.parse(token), left }
}

// By the prefix of this run: the server may be somebody's own, with his data in it.
async function deleteAll(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 500 })) {
    if ((keys as string[]).length > 0) await client.unlink(...(keys as string[]))
  }
}
