import type { Call } from '../call.ts'

/** Waits, as a part of a call: it rejects with the reason as soon as the call is cancelled, and leaves no timer and no listener. */
export function sleepWithin(call: Call, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (call.isCancelled) {
      reject(call.reason)
      return
    }
    const wake = (): void => {
      stopListening()
      resolve()
    }
    // It holds the process: somebody awaits the call.
    const timer = call.clock.setTimer(wake, ms, { background: false })
    const stopListening = call.onCancel(reason => {
      timer.cancel()
      reject(reason)
    })
  })
}
