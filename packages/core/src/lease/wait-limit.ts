import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'

const WAITED_ENOUGH = Symbol('waited enough')

/**
 * Runs `wait` with a signal that aborts when the caller's does, or after `waitMs` (undefined: never by itself). Answers
 * undefined when the time was up. The timer holds the process: somebody awaits it.
 */
export async function withinWait<T>(
  clock: Clock,
  limits: { readonly waitMs?: number | undefined; readonly signal?: AbortSignal | undefined },
  wait: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T | undefined> {
  const { waitMs, signal } = limits
  if (waitMs === undefined) return await wait(signal)
  const abort = new AbortController()
  const timer = clock.setTimer(() => abort.abort(WAITED_ENOUGH), waitMs, { background: false })
  const stop = onAbort(signal, reason => abort.abort(reason))
  try {
    return await wait(abort.signal)
  } catch (error) {
    if (error === WAITED_ENOUGH) return undefined
    throw error
  } finally {
    timer.cancel()
    stop()
  }
}
