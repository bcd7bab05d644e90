import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../testing/index.ts'
import { internalsOf } from './backend.ts'
import type { ZooKeeperBackend } from './index.ts'

/** About three answers. */
const ANSWERED_BYTES_MIN = 80

/**
 * Cuts a backend's link, which has a proxy of its own, again and again. Each connection lives for so long once something was answered
 * over it: a slow machine, too, gets something done with it.
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
      const answered = proxy.bytesToClient + ANSWERED_BYTES_MIN
      while (!isOver && sessions.current === current && proxy.bytesToClient < answered) await sleep(1)
      await sleep(lifeMs)
    }
  }
  void cut()
  return () => {
    isOver = true
  }
}
