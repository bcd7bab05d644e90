import { sharedRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { inboxPrefix } from '../keys.ts'

/** A server on which steps are tried, and somebody who listens: to the messages for clients that are called `live`. */
export interface StepStage {
  readonly redis: Redis
  /** What came in by message since it was last forgotten. */
  received(): Promise<readonly string[]>
  forget(): void
  /** Removes what is left below the prefix: the server may be the user's. */
  close(): Promise<void>
}

export async function openStepStage(prefix: string): Promise<StepStage> {
  const server = await sharedRedis()
  const [redis, inbox] = [new Redis(server.url), new Redis(server.url)]
  let messages: string[] = []
  inbox.on('message', (_channel: string, message: string) => messages.push(message))
  await inbox.subscribe(`${inboxPrefix(prefix)}live`)
  return {
    redis,
    // They are in order with answers on another connection once this one has asked as well.
    received: async () => {
      await inbox.ping()
      return messages
    },
    forget: () => void (messages = []),
    close: async () => {
      const left = await redis.keys(`${prefix}:*`)
      if (left.length > 0) await redis.del(left)
      redis.disconnect()
      inbox.disconnect()
      await server.stop()
    },
  }
}
