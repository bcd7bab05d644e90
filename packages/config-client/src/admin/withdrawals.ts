import type { ReleaseName } from '../release/release.ts'
import { UntrustedReleaseError } from '../errors.ts'

/** A release in steps that was taken back. Its number is not used again. */
export interface Withdrawal {
  readonly release: ReleaseName
  readonly reason: string
  readonly author: string
  /** By the clock of whoever took it back, in milliseconds since 1970. */
  readonly atMs: number
}

/** The id of the record that lists them. */
export const WITHDRAWN = 'withdrawn'

const REMEMBERED_MAX = 100
const REASON_LENGTH_MAX = 1_000
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The record with one more; the oldest are forgotten. */
export function withWithdrawal(known: readonly Withdrawal[], next: Withdrawal): Uint8Array {
  const reason = next.reason.slice(0, REASON_LENGTH_MAX)
  return new TextEncoder().encode(JSON.stringify([...known, { ...next, reason }].slice(-REMEMBERED_MAX)))
}

/** @throws {UntrustedReleaseError} `HF_UNTRUSTED` */
export function decodeWithdrawals(bytes: Uint8Array): readonly Withdrawal[] {
  try {
    const list: unknown = JSON.parse(decoder.decode(bytes))
    if (Array.isArray(list) && list.every(isWithdrawal)) return list
  } catch (error) {
    throw new UntrustedReleaseError('The list of withdrawn releases is no JSON.', { cause: error })
  }
  throw new UntrustedReleaseError('The list of withdrawn releases is none.')
}

function isWithdrawal(value: unknown): value is Withdrawal {
  const { release, reason, author, atMs } = (value ?? {}) as Partial<Withdrawal>
  return (
    Number.isInteger(release?.number) &&
    typeof release?.hash === 'string' &&
    typeof reason === 'string' &&
    typeof author === 'string' &&
    typeof atMs === 'number'
  )
}
