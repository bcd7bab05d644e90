import { redisBackend } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'
import { holdfastClient } from './holdfast-client.ts'

/** Ours on Redis, with every option at its default: fenced, renewed, with deadlines. */
export const holdfastRedis: Contestant = {
  async connect(address, ttlMs) {
    const backend = redisBackend({ url: address })
    await backend.ready()
    return holdfastClient(createLocks({ backend, ...(ttlMs === undefined ? {} : { ttlMs }) }))
  },
}
