import { show } from '@holdfast/core'
import { usageError } from '../exit-codes.ts'

/** The number of a release, or with a minus so many back from the head, which is -1. */
export function releaseNumber(what: string, text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  throw usageError(`Expected ${what} to be the number of a release, such as 42 or -2, got ${show(text)}.`)
}
