import type { Contestant } from './contestant.ts'

/** Where contestants lock. */
export type Store = SingleStore | QuorumStore

/** One server each. */
export type SingleStore = 'redis' | 'zookeeper' | 'postgres'

/** Three independent Redis servers each; all clients of a quorum have to agree on whether there are tokens. */
export type QuorumStore = 'redis-quorum' | 'redis-quorum-fenced'

/** Who can be measured on each store, by the name that rows use. A process loads only the one it is. */
export const CONTESTANTS: Readonly<Record<Store, Readonly<Record<string, () => Promise<Contestant>>>>> = {
  redis: {
    ours: async () => (await import('./holdfast-redis.ts')).holdfastRedis,
    raw: async () => (await import('./raw-redis.ts')).rawRedis,
    blpop: async () => (await import('./blpop.ts')).blpop,
    redlock: async () => (await import('./redlock.ts')).redlock,
    'redlock-tuned': async () => (await import('./redlock.ts')).redlockTuned,
    'redis-semaphore': async () => (await import('./redis-semaphore.ts')).redisSemaphore,
  },
  'redis-quorum': {
    ours: async () => (await import('./holdfast-redis-quorum.ts')).holdfastRedisQuorum,
    redlock: async () => (await import('./redlock.ts')).redlock,
  },
  'redis-quorum-fenced': {
    ours: async () => (await import('./holdfast-redis-quorum.ts')).holdfastRedisQuorumFenced,
    redlock: async () => (await import('./redlock.ts')).redlock,
  },
  zookeeper: {
    ours: async () => (await import('./holdfast-zookeeper.ts')).holdfastZooKeeper,
    raw: async () => (await import('./raw-zookeeper.ts')).rawZooKeeper,
  },
  postgres: {
    ours: async () => (await import('./holdfast-postgres.ts')).holdfastPostgres,
    advisory: async () => (await import('./advisory-lock.ts')).advisoryLock,
  },
}
