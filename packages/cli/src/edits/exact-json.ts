import type { Json } from '@holdfast/config-client'
import { usageError } from '../exit-codes.ts'

/**
 * `JSON.parse`, but an integer that a number cannot hold is refused instead of becoming another one.
 *
 * @throws {SyntaxError} for what is no JSON
 * @throws {CommandError} `usage` for an integer beyond 2^53 - 1
 */
export function parseExactJson(text: string): Json {
  const value = JSON.parse(text) as Json
  const outsideOfTexts = text.replace(/"(?:[^"\\]|\\.)*"/g, '')
  const inexact = outsideOfTexts.match(/-?\d[\d.eE+-]*/g)?.find(isInexact)
  if (inexact === undefined) return value
  throw usageError(`${inexact} is too large for a number of JSON: write it as text.`)
}

function isInexact(literal: string): boolean {
  return /^-?\d+$/.test(literal) && !Number.isSafeInteger(Number(literal))
}
