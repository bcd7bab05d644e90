import type { Contestant } from './contestant.ts'

/** Where contestants lock. */
export type Store = 'redis' | 'zookeeper' | 'postgres'

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
  zookeeper: {
    ours: async () => (await import('./holdfast-zookeeper.ts')).holdfastZooKeeper,
    raw: async () => (await import('./raw-zookeeper.ts')).rawZooKeeper,
  },
  postgres: {
    ours: async () => (await import('./holdfast-postgres.ts')).holdfastPostgres,
    advisory: async () => (await import('./advisory-lock.ts')).advisoryLock,
  },
}
