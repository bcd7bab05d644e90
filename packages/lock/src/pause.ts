import type { Clock } from '@holdfast/core'
import { onAbort } from '@holdfast/core'

/** Resolves after `ms`, or rejects with the signal's reason. Holds the process: somebody waits. */
export function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(
      () => {
        stop()
        resolve()
      },
      ms,
      { background: false },
    )
    const stop = onAbort(signal, reason => {
      timer.cancel()
      reject(reason)
    })
  })
}
