import type { Call } from '../call.ts'
import type { IdempotentSettings } from './options.ts'

/** A call with a key. */
export interface KeyedCall {
  readonly call: Call
  /** As its caller gave it. */
  readonly key: string
  /** As the store knows it. */
  readonly storeKey: string
  readonly fingerprint: string
  /** What the policy goes by for this call, however its rule changes meanwhile. */
  readonly settings: IdempotentSettings
}

/** Settles as `work` does, or rejects with the reason when the call is cancelled. The work itself goes on. */
export function orCancelled<T>(work: Promise<T>, call: Call): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = call.onCancel(reject)
    work.then(resolve, reject).finally(stop)
  })
}

/** Waits, until the call is cancelled at the latest. */
export function pause(call: Call, delayMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = call.clock.setTimer(
      () => {
        stop()
        resolve()
      },
      delayMs,
      { background: false },
    )
    const stop = call.onCancel(reason => {
      timer.cancel()
      reject(reason as Error)
    })
  })
}
