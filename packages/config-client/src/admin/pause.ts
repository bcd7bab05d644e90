import type { Clock } from '@holdfast/core'
import { onAbort } from '@holdfast/core'

/** Resolves after so long; rejects with the signal's reason when it aborts before. Holds the process. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopListening: () => void = () => {}
    const timer = clock.setTimer(
      () => {
        stopListening()
        resolve()
      },
      ms,
      { background: false },
    )
    stopListening = onAbort(signal, reason => {
      timer.cancel()
      // oxlint-disable-next-line prefer-promise-reject-errors
      reject(reason)
    })
  })
}
