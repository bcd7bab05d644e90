import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'

/** A server that is not ours. All that programs write through `url` is under one prefix, and deleted by `stop`. */
export interface BorrowedRedis {
  readonly url: string
  stop(): Promise<void>
}

/** @throws when nobody answers there. */
export async function borrowRedis(server: string): Promise<BorrowedRedis> {
  const client = new Redis(server, { maxRetriesPerRequest: 1 })
  // Every command that fails says so itself.
  client.on('error', () => {})
  try {
    await client.ping()
  } catch (error) {
    client.disconnect()
    throw new Error('The Redis that HOLDFAST_REDIS_URL names does not answer.', { cause: error })
  }
  const prefix = `holdfast-quickstart-${randomBytes(6).toString('hex')}:`
  return {
    // So that the programs stay as the pages show them.
    url: `${server}${server.includes('?') ? '&' : '?'}keyPrefix=${prefix}`,
    stop: async () => {
      try {
        await deleteAll(client, prefix)
      } finally {
        client.disconnect()
      }
    },
  }
}

async function deleteAll(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 500 })) {
    if ((keys as string[]).length > 0) await client.unlink(...(keys as string[]))
  }
}
