import { isRejection, isTimeout } from '../errors.ts'
import type { RejectionReason } from '../errors.ts'

/** Refusals that say that what is called is overloaded. A quota, an open circuit or a missing store say nothing of that. */
const OVERLOAD: ReadonlySet<unknown> = new Set<RejectionReason>([
  'concurrency-limit',
  'shed',
  'queue-full',
  'queue-timeout',
  'throttled',
])

/** Whether an error says that what is called does not keep up: a timeout, or a refusal for overload. */
export function isOverloadError(error: unknown): boolean {
  if (isTimeout(error)) return true
  if (typeof error !== 'object' || error === null) return false
  if (isRejection(error)) {
    const { rejection } = error as { readonly rejection?: { readonly reason?: unknown } }
    return rejection === undefined ? 'isBulkheadRejectedError' in error : OVERLOAD.has(rejection.reason)
  }
  // What `AbortSignal.timeout` aborts with.
  return (error as { readonly name?: unknown }).name === 'TimeoutError'
}
