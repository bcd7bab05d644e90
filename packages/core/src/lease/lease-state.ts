import type { LeaseLostError, LeaseLostReason } from '../errors.ts'

/** Where a lease is in its life: it is held, and then once and for ever given back or lost. */
export type LeaseState =
  | { readonly kind: 'held' }
  | { readonly kind: 'released' }
  | { readonly kind: 'lost'; readonly error: LeaseLostError }

export const HELD: LeaseState = Object.freeze({ kind: 'held' })
export const RELEASED: LeaseState = Object.freeze({ kind: 'released' })

/** As people are shown it. To look at it ends nothing: when its time is over, the timer will, and say why. */
export function standingOf(
  state: LeaseState,
  leftMs: number,
): { readonly state: LeaseState['kind']; readonly reason?: LeaseLostReason } {
  if (state.kind === 'lost') return { state: 'lost', reason: state.error.reason }
  return { state: state.kind === 'held' && leftMs <= 0 ? 'lost' : state.kind }
}
