import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'
import { holdfastClient } from './holdfast-client.ts'

/** Ours on ZooKeeper, with every option at its default: fenced, protected creates, its own heartbeat. */
export const holdfastZooKeeper: Contestant = {
  async connect(address, ttlMs) {
    const session = ttlMs === undefined ? {} : { sessionTimeoutMs: ttlMs }
    const backend = zookeeperBackend({ connect: address, ...session })
    await backend.ready()
    return holdfastClient(createLocks({ backend }))
  },
}
