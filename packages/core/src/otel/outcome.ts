import type { AcquireTrace } from '../lease/acquire.ts'

/**
 * What came of asking for a lock. `stale`: its guard had seen a newer token. `unknown`: it was not listened to till the end.
 */
export type WaitOutcome =
  | { readonly kind: 'granted' | 'timeout' | 'aborted' | 'unknown' }
  | { readonly kind: 'unavailable' | 'stale' | 'failed'; readonly errorType: string }

/** A trace at its end, as `node:diagnostics_channel` has it. */
export interface EndedTrace extends AcquireTrace {
  readonly result?: unknown
  readonly error?: unknown
}

/** Tells by the error, or by what was answered: `tryAcquire` answers undefined when others held it. */
export function outcomeOf(ended: EndedTrace): WaitOutcome {
  if (!('error' in ended)) return { kind: ended.result === undefined ? 'timeout' : 'granted' }
  const { error, signal } = ended
  if (signal?.aborted === true && signal.reason === error) return { kind: 'aborted' }
  const errorType = errorTypeOf(error)
  switch (errorType) {
    case 'HF_WAIT_TIMEOUT':
      return { kind: 'timeout' }
    case 'HF_UNAVAILABLE':
      return { kind: 'unavailable', errorType }
    case 'HF_STALE_TOKEN':
      return { kind: 'stale', errorType }
    default:
      return { kind: 'failed', errorType }
  }
}

/** The code of an error of ours, else its class: one of few, as `error.type` is to be. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' ? code : error.name
}
