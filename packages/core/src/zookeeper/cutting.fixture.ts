import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../testing/index.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend } from './index.ts'

/**
 * Cuts a backend's link again and again. Each connection lives for so long once it is made: a slow machine, too, gets something done
 * with it.
 */
export function keepCutting(backend: ZooKeeperBackend, proxy: FaultProxy, lifeMs: number): () => void {
  const { sessions } = internalsOf(backend)
  let isOver = false
  const cut = async (): Promise<void> => {
    while (!isOver) {
      const { current } = sessions
      const before = current.connections
      proxy.dropConnections()
      while (!isOver && sessions.current === current && current.connections === before) await sleep(1)
      await sleep(lifeMs)
    }
  }
  void cut()
  return () => {
    isOver = true
  }
}
