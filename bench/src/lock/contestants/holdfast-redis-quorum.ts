import { redisQuorumBackend } from '@holdfast/core/redis'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'
import { holdfastClient } from './holdfast-client.ts'

/** Ours on independent servers without tokens: what redlock promises, and that promised validity is checked. */
export const holdfastRedisQuorum: Contestant = quorum(false)

/** Ours on independent servers with every option at its default: fenced, which costs one more round trip. */
export const holdfastRedisQuorumFenced: Contestant = quorum(true)

function quorum(fencing: boolean): Contestant {
  return {
    async connect(address) {
      const backend = redisQuorumBackend({ nodes: address.split(',').map(url => ({ url })), fencing })
      await backend.ready()
      return holdfastClient(createLocks({ backend }))
    },
  }
}
