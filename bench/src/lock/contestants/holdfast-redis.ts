import { redisBackend } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'

/** Ours on Redis, with every option at its default: fenced, renewed, with deadlines. */
export const holdfastRedis: Contestant = {
  async connect(address) {
    const backend = redisBackend({ url: address })
    await backend.ready()
    const locks = createLocks({ backend })
    return { acquire: name => locks.acquire(name) }
  },
}
