import type { Backend, BarrierWait } from '@holdfast/core'
import {
  WAIT_MS,
  WaitTimeoutError,
  checkDurationMs,
  checkKeys,
  checkSignal,
  onAbort,
  unansweredWait,
} from '@holdfast/core'

/** How to wait for others. */
export interface WaitOptions {
  /** How long, in milliseconds; 0 = only look. @default until `signal` aborts */
  readonly waitMs?: number
  /** Ends the waiting. */
  readonly signal?: AbortSignal
}

/** How to ask something that waits for nobody. */
export interface CallOptions {
  readonly signal?: AbortSignal
}

const WAIT_NAMES: ReadonlySet<string> = new Set(['waitMs', 'signal'])
const CALL_NAMES: ReadonlySet<string> = new Set(['signal'])
/** How long who only looks waits for the store's answer. */
const LOOK_MS = 5_000
const WAITED_ENOUGH = Symbol('waited enough')

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkWaitOptions(where: string, options: WaitOptions): void {
  checkKeys(where, options, WAIT_NAMES)
  if (options.waitMs !== undefined) checkDurationMs('waitMs', options.waitMs, WAIT_MS)
  checkSignal(options.signal)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkCallOptions(where: string, options: CallOptions): void {
  checkKeys(where, options, CALL_NAMES)
  checkSignal(options.signal)
}

/** What is waited for: `what` completes "… still …" in the error of one who waited in vain. */
export interface Awaited {
  readonly backend: Backend
  readonly name: string
  readonly what: string
}

/**
 * Runs `wait`, which tells when the store has said that it is not yet time, for `waitMs` at most.
 *
 * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when it was not yet time for all of that
 * @throws {UnavailableError} `HF_UNAVAILABLE` when the store never answered
 */
export async function waitAtMost<T>(
  { backend, name, what }: Awaited,
  { waitMs, signal }: WaitOptions,
  wait: (wait: BarrierWait) => Promise<T>,
): Promise<T> {
  if (waitMs === undefined) return await wait({ signal })
  signal?.throwIfAborted()
  const abort = new AbortController()
  const enough = (): void => abort.abort(WAITED_ENOUGH)
  let isAnswered = false
  const waiting = (): void => {
    isAnswered = true
    if (waitMs === 0) enough()
  }
  const timer = backend.clock.setTimer(enough, waitMs === 0 ? LOOK_MS : waitMs, { background: false })
  const stop = onAbort(signal, reason => abort.abort(reason))
  try {
    return await wait({ signal: abort.signal, waiting })
  } catch (error) {
    if (error !== WAITED_ENOUGH) throw error
    if (isAnswered) throw new WaitTimeoutError(name, waitMs, `${what} after waiting ${waitMs} ms.`)
    throw unansweredWait(backend, name, waitMs === 0 ? `${LOOK_MS} ms` : `the ${waitMs} ms of \`waitMs\``)
  } finally {
    timer.cancel()
    stop()
  }
}
