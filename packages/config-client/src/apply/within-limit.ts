import type { Clock } from '@holdfast/core'
import { onAbort } from '@holdfast/core'

/** How a piece of a user's work ended. */
export type Ended<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It did not settle in time. It may go on. */
  | { readonly kind: 'hung' }
  | { readonly kind: 'aborted'; readonly reason: unknown }

/** How long a piece of work may take. */
export interface WorkLimits<T> {
  readonly clock: Clock
  readonly limitMs: number
  readonly signal?: AbortSignal
  /** Told what the work comes to after all, once nobody waits for it. */
  readonly late?: (value: T) => void
}

/** Runs `work`, and answers how it ended after `limitMs` at the latest. Never rejects. */
export function endOf<T>(work: () => T | Promise<T>, limits: WorkLimits<T>): Promise<Ended<T>> {
  const { clock, limitMs, signal, late } = limits
  if (signal?.aborted === true) return Promise.resolve({ kind: 'aborted', reason: signal.reason as unknown })
  return new Promise(resolve => {
    let isOver = false
    const end = (ended: Ended<T>): void => {
      isOver = true
      timer.cancel()
      stopListening()
      resolve(ended)
    }
    const timer = clock.setTimer(() => end({ kind: 'hung' }), limitMs)
    const stopListening = onAbort(signal, reason => end({ kind: 'aborted', reason }))
    begun(work).then(
      value => (isOver ? late?.(value) : end({ kind: 'done', value })),
      (error: unknown) => (isOver ? undefined : end({ kind: 'failed', error })),
    )
  })
}

// What throws at once has failed like what rejects.
async function begun<T>(work: () => T | Promise<T>): Promise<T> {
  return await work()
}
