import { InvalidArgumentError, show } from '@holdfast/core'
import { isWellFormed } from './json-problem.ts'
import type { Json } from './json.ts'
import { isJsonArray, isJsonObject } from './json.ts'

/**
 * The one text of a JSON value, by RFC 8785: no blanks, keys in the order of their UTF-16 code units, numbers and texts as ECMAScript
 * prints them. Equal values have equal texts, whatever the order of their keys; -0 is 0.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no JSON: lone surrogates, NaN, infinities, undefined
 */
export function canonicalJson(value: Json): string {
  if (isInOrder(value)) {
    const printed = JSON.stringify(value)
    // An escape of this kind may hide a lone surrogate.
    if (!printed.includes(String.raw`\ud`)) return printed
  }
  return printInOrder(value)
}

// What was canonical once is so again: then the engine prints it, many times as fast.
function isInOrder(value: Json): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (isJsonArray(value)) {
    for (let at = 0; at < value.length; at += 1) if (!isInOrder(value[at] as Json)) return false
    return true
  }
  if (!isJsonObject(value)) return false
  let last = ''
  for (const key of Object.keys(value)) {
    if (key < last || !isInOrder(value[key] as Json)) return false
    last = key
  }
  return true
}

function printInOrder(value: Json): string {
  if (isJsonArray(value)) return `[${Array.from(value, inner => canonicalJson(inner)).join(',')}]`
  if (isJsonObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map(key => `${text(key)}:${canonicalJson(value[key] as Json)}`)
    return `{${members.join(',')}}`
  }
  if (typeof value === 'string') return text(value)
  // RFC 8785, 3.2.2.3: numbers are as ECMAScript prints them, and -0 is 0.
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return String(value)
  throw notJson(show(value))
}

// RFC 8785, 3.2.2.2: escapes are those of JSON.stringify, which for a lone surrogate would hide that there is one.
function text(value: string): string {
  if (!isWellFormed(value)) throw notJson('a text with a lone surrogate')
  return JSON.stringify(value)
}

function notJson(seen: string): InvalidArgumentError {
  return new InvalidArgumentError('value', `Expected JSON, got ${seen}.`)
}
