import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend, redisQuorumBackend } from '@holdfast/core/redis'
import { systemClock } from '@holdfast/core'
import type { Contender } from './contender.ts'
import { HoldfastContender } from './holdfast.ts'
import type { Ledger } from './ledger.ts'
import { MemoryLedger } from './memory-ledger.ts'
import { AdvisoryPostgres, NaivePostgres } from './naive-postgres.ts'
import { NaiveExpiringRedis, NaiveForeverRedis } from './naive-redis.ts'
import { NaiveQuorum } from './naive-quorum.ts'
import { PostgresLedger, postgresUrl } from './postgres-ledger.ts'
import type { LockKind, Place } from './protocol.ts'
import { sentinelClient } from './redis-clients.ts'
import { RedisLedger } from './redis-ledger.ts'

/** A client of the locks, and the data that they protect. */
export interface Outfit {
  readonly contender: Contender
  readonly ledger: Ledger
  /** The world of the memory backend, which the clients of one worker share. */
  readonly world: MemoryWorld | undefined
  close(): Promise<void>
}

export async function openOutfit(place: Place, lock: LockKind, beside: Outfit | undefined): Promise<Outfit> {
  switch (place.kind) {
    case 'memory': {
      const world = beside?.world ?? new MemoryWorld(systemClock)
      const ledger = beside?.ledger ?? new MemoryLedger()
      return outfit(new HoldfastContender(memoryBackend({ world }), ledger.guard), ledger, world)
    }
    case 'redis': {
      const ledger = new RedisLedger(place.dataPort, place.prefix)
      return outfit(redisContender(place, lock, ledger), ledger)
    }
    case 'sentinel': {
      const ledger = new RedisLedger(place.dataPort, place.prefix)
      return outfit(sentinelContender(place, lock, ledger), ledger)
    }
    case 'quorum': {
      const ledger = new RedisLedger(place.dataPort, place.prefix)
      return outfit(quorumContender(place, lock, ledger), ledger)
    }
    case 'postgres': {
      const ledger = new PostgresLedger(place.dataPort, place.schema)
      return outfit(postgresContender(place, lock, ledger), ledger)
    }
    case 'zookeeper':
      return await (await import('./zookeeper-outfit.ts')).openZooKeeperOutfit(place, lock)
  }
}

function redisContender(place: Place & { kind: 'redis' }, lock: LockKind, ledger: Ledger): Contender {
  const { lockPort, prefix, claimMs, commandTimeoutMs } = place
  switch (lock) {
    case 'holdfast': {
      const url = `redis://127.0.0.1:${lockPort}`
      return new HoldfastContender(redisBackend({ url, prefix, claimMs, commandTimeoutMs }), ledger.guard)
    }
    case 'naive-expiring':
      return new NaiveExpiringRedis(lockPort, prefix)
    case 'naive-forever':
    case 'naive-session':
      return new NaiveForeverRedis(lockPort, prefix)
  }
}

function sentinelContender(place: Place & { kind: 'sentinel' }, lock: LockKind, ledger: Ledger): Contender {
  if (lock !== 'holdfast') throw new Error(`There is no ${lock} lock behind sentinels.`)
  const { prefix, claimMs, commandTimeoutMs } = place
  const client = sentinelClient(place)
  return new HoldfastContender(redisBackend({ client, prefix, claimMs, commandTimeoutMs }), ledger.guard)
}

function quorumContender(place: Place & { kind: 'quorum' }, lock: LockKind, ledger: Ledger): Contender {
  const { lockPorts, prefix, maxTtlMs, commandTimeoutMs } = place
  if (lock !== 'holdfast') return new NaiveQuorum(lockPorts, prefix)
  const nodes = lockPorts.map(port => ({ url: `redis://127.0.0.1:${port}` }))
  return new HoldfastContender(redisQuorumBackend({ nodes, prefix, maxTtlMs, commandTimeoutMs }), ledger.guard)
}

function postgresContender(place: Place & { kind: 'postgres' }, lock: LockKind, ledger: Ledger): Contender {
  const { lockPort, schema, claimMs, commandTimeoutMs } = place
  switch (lock) {
    case 'holdfast': {
      const backend = postgresBackend({ url: postgresUrl(lockPort), schema, claimMs, commandTimeoutMs })
      return new HoldfastContender(backend, ledger.guard)
    }
    case 'naive-expiring':
    case 'naive-forever':
      return new NaivePostgres(lockPort, { isForEver: lock === 'naive-forever' })
    case 'naive-session':
      return new AdvisoryPostgres(lockPort)
  }
}

export function outfit(contender: Contender, ledger: Ledger, world?: MemoryWorld): Outfit {
  return {
    contender,
    ledger,
    world,
    close: async () => {
      await contender.close()
      await ledger.close()
    },
  }
}
