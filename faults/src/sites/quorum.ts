import { admitRedisQuorum } from '@holdfast/core/redis'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import type { SiteFacts } from './site.ts'

const PREFIX = 'hf-faults'
// It may take a second until a server is back.
const TTL_MS = 4_000
const COMMAND_TIMEOUT_MS = 1_000

/** Three Redis servers that keep nothing but what `snapshot` saved. The protected data are on another one. */
export interface QuorumSite extends SiteFacts {
  readonly kind: 'quorum'
  readonly servers: readonly [RedisServer, RedisServer, RedisServer]
  /** How long a server that comes back votes for nobody. */
  readonly quarantineMs: number
  /** Makes a server save what it has; it is what it has again after a restart with its data. */
  snapshot(server: RedisServer): Promise<void>
}

export async function quorumSite(): Promise<QuorumSite> {
  const data = await startRedis()
  const servers = [await startRedis(), await startRedis(), await startRedis()] as const
  const maxTtlMs = TTL_MS
  // They have just been started, and nobody knows of them.
  await admitRedisQuorum({ nodes: servers.map(({ url }) => ({ url })), prefix: PREFIX, maxTtlMs })
  return {
    kind: 'quorum',
    servers,
    port: servers[2].port,
    ttlMs: TTL_MS,
    leaseMs: TTL_MS,
    quarantineMs: maxTtlMs,
    place: ({ lockPort = servers[2].port, dataPort = data.port }) => ({
      kind: 'quorum',
      lockPorts: [servers[0].port, servers[1].port, lockPort],
      dataPort,
      prefix: PREFIX,
      maxTtlMs,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
    }),
    waiters: () => Promise.reject(new Error('A quorum has no queue.')),
    snapshot: async ({ port }) => {
      const client = new Redis({ port, host: '127.0.0.1' })
      await client.save()
      client.disconnect()
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all([data, ...servers].map(server => server.stop()))),
  }
}
