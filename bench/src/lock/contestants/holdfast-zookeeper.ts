import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { createLocks } from '@holdfast/lock'
import type { Contestant } from './contestant.ts'

/** Ours on ZooKeeper, with every option at its default: fenced, protected creates, its own heartbeat. */
export const holdfastZooKeeper: Contestant = {
  async connect(address) {
    const backend = zookeeperBackend({ connect: address })
    await backend.ready()
    const locks = createLocks({ backend })
    return { acquire: name => locks.acquire(name) }
  },
}
