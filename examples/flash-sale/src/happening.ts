import type { LeaseGuarantee } from '@holdfast/core'

/** What a worker tells. */
export type Deed =
  /** The shop is open to it. */
  | { readonly kind: 'ready' }
  /** It asks for the lock. */
  | { readonly kind: 'asked' }
  /** It was given the lock. */
  | { readonly kind: 'granted'; readonly token: bigint; readonly guarantee: LeaseGuarantee }
  /** It read the stock, and its customer is thinking. */
  | { readonly kind: 'read'; readonly left: number }
  /** Its write was accepted. */
  | { readonly kind: 'sold'; readonly token: bigint; readonly left: number }
  /** Its write was refused: somebody came after it. */
  | { readonly kind: 'refused'; readonly token: bigint; readonly left: number }
  /** It found nothing left, and went home. */
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string }

/** What is done to a worker. */
export type Fault = { readonly kind: 'stopped' } | { readonly kind: 'continued' } | { readonly kind: 'killed' }

/** One thing that happened, to or by one worker. */
export type Happening = (Deed | Fault) & {
  /** Who, from 1. */
  readonly worker: number
  /** By `machineMs`. */
  readonly atMs: number
}

/** Milliseconds by a clock that all processes of this machine share, so that a hand-off between two of them can be measured. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
