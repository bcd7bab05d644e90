export type { RedisBackendOptions } from './backend.ts'
export { REDIS_DEFAULTS, redisBackend } from './backend.ts'
export type { FencedCommands, RedisCommand, RedisFence, RedisFenceOptions } from './guard.ts'
export { redisFence } from './guard.ts'
