// Servers for tests, benchmarks, faults and examples: `import { startRedis } from '@holdfast/scripts/servers'`.
export { startRedis, sharedRedis } from './servers/redis.mjs'
export { startRedisCluster } from './servers/redis-cluster.mjs'
export { startRedisSentinel } from './servers/redis-sentinel.mjs'
export { startZooKeeper, sharedZooKeeper } from './servers/zookeeper.mjs'
export { startZooKeeperEnsemble } from './servers/zookeeper-ensemble.mjs'
export { startPostgres, sharedPostgres } from './servers/postgres.mjs'
export { freePort } from './servers/ports.mjs'
