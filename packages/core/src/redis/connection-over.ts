import type { Redis } from 'ioredis'
import { systemClock } from '../clock.ts'
import { RedisConnection } from './connection.ts'
import { compareAndSet } from './scripts/compare-and-set.ts'
import { fence } from './scripts/fence.ts'

const connections = new WeakMap<Redis, Map<number, RedisConnection>>()

/** A user's client with our deadlines. One for all that is made of it, however much: each listens to it for as long as it lives. */
export function connectionOver(client: Redis, timeoutMs: number): RedisConnection {
  const known = connections.get(client) ?? new Map<number, RedisConnection>()
  connections.set(client, known)
  let connection = known.get(timeoutMs)
  if (connection === undefined) {
    connection = new RedisConnection({
      clock: systemClock,
      commandTimeoutMs: timeoutMs,
      isOurs: false,
      scripts: () => [fence, compareAndSet],
      open: () => Promise.resolve(client),
      examine: () => Promise.resolve({ guarantee: 'advisory', holdBackMs: 0 }),
      onHealth: () => {},
    })
    known.set(timeoutMs, connection)
  }
  return connection
}
