import { InvalidArgumentError, show } from '@holdfast/core'
import type { Json } from './json.ts'
import { LONE_SURROGATE } from './json-problem.ts'
import { isJsonArray, isJsonObject } from './json.ts'

/**
 * The one text of a JSON value, by RFC 8785: no blanks, keys in the order of their UTF-16 code units, numbers and texts as ECMAScript
 * prints them. Equal values have equal texts, whatever the order of their keys; -0 is 0.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what is no JSON: lone surrogates, NaN, infinities, undefined
 */
export function canonicalJson(value: Json): string {
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
  if (LONE_SURROGATE.test(value)) throw notJson('a text with a lone surrogate')
  return JSON.stringify(value)
}

function notJson(seen: string): InvalidArgumentError {
  return new InvalidArgumentError('value', `Expected JSON, got ${seen}.`)
}
