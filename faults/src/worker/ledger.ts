import type { Guard } from '@holdfast/core'
import type { WriteOutcome } from './protocol.ts'

/** A write to the protected data. */
export interface LedgerWrite {
  readonly resource: string
  readonly token: bigint
  /** False: the token is not looked at. */
  readonly isGuarded: boolean
}

/** The data that a lock protects: it keeps the token of each write that it took, in order. */
export interface Ledger {
  readonly guard: Guard
  write(write: LedgerWrite): Promise<WriteOutcome>
  close(): Promise<void>
}
