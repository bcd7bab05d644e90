import { redisBackend } from '@holdfast/core/redis'
import type { FaultProxy } from '@holdfast/core/testing'
import { createFaultProxy } from '@holdfast/core/testing'
import { createLocks } from '@holdfast/lock'
import type { RedisSentinel, RedisServer } from '@holdfast/scripts/servers'
import { startRedis, startRedisSentinel } from '@holdfast/scripts/servers'
import type { Place } from '../worker/protocol.ts'
import { sentinelClient } from '../worker/redis-clients.ts'
import type { SiteFacts, Ways } from './site.ts'

const PREFIX = 'hf-faults'
const TTL_MS = 1_000
const CLAIM_MS = 500
// A master that is stopped keeps its connections: this is how long it takes to see.
const COMMAND_TIMEOUT_MS = 1_000
// Longer than the TTL, so that no lease outlives a failover by itself, whoever is promoted.
const DOWN_AFTER_MS = 1_200

/** A Redis with replicas and sentinels. The protected data are on another Redis, which stays whole. */
export interface SentinelSite extends SiteFacts {
  readonly kind: 'sentinel'
  /** The server that was the master at first; it is reached straight by its port. */
  readonly master: RedisServer
  /** What its replicas, the sentinels and whoever has no door of his own reach it through. */
  readonly masterLink: FaultProxy
  /** Whether the sentinels name another master. */
  isReplaced(): Promise<boolean>
  /** Starts all servers anew, with nothing, but for that of the protected data. */
  startAnew(): Promise<void>
}

interface Watched {
  readonly servers: RedisSentinel
  readonly master: RedisServer
  readonly masterLink: FaultProxy
}

export async function sentinelSite(): Promise<SentinelSite> {
  const data = await startRedis()
  let watched = await startWatched()
  const place = ({ lockPort, dataPort = data.port }: Ways): Place => ({
    kind: 'sentinel',
    sentinelPorts: watched.servers.sentinels.map(({ port }) => port),
    name: watched.servers.name,
    nat: lockPort === undefined ? undefined : { named: watched.masterLink.port, reached: lockPort },
    dataPort,
    prefix: PREFIX,
    claimMs: CLAIM_MS,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  })
  return {
    kind: 'sentinel',
    ttlMs: TTL_MS,
    leaseMs: TTL_MS,
    place,
    get port() {
      return watched.master.port
    },
    get master() {
      return watched.master
    },
    get masterLink() {
      return watched.masterLink
    },
    waiters: async resource => {
      const { servers } = watched
      const client = sentinelClient({ ...servers, sentinelPorts: servers.sentinels.map(({ port }) => port) })
      await using observer = redisBackend({ client, prefix: PREFIX })
      return (await createLocks({ backend: observer }).inspect(resource)).waiters.length
    },
    isReplaced: async () => {
      const port = await watched.servers.masterPort()
      return port !== undefined && port !== watched.masterLink.port
    },
    startAnew: async () => {
      await stopWatched(watched)
      watched = await startWatched()
    },
    [Symbol.asyncDispose]: async () => {
      await stopWatched(watched)
      await data.stop()
    },
  }
}

async function startWatched(): Promise<Watched> {
  let masterLink: FaultProxy | undefined
  const servers = await startRedisSentinel({
    downAfterMs: DOWN_AFTER_MS,
    masterVia: async port => {
      masterLink = await createFaultProxy({ target: { host: '127.0.0.1', port } })
      return masterLink.port
    },
  })
  const [master] = servers.servers
  if (master === undefined || masterLink === undefined) throw new Error('There is no master.')
  return { servers, master, masterLink }
}

async function stopWatched({ servers, masterLink }: Watched): Promise<void> {
  await servers.stop()
  await masterLink.close()
}
