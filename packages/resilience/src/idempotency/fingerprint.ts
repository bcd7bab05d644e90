import { createHash } from 'node:crypto'
import { InvalidArgumentError, show } from '@holdfast/core'

// Deeper than any request, and shallow enough for the stack.
const DEPTH_MAX = 200

/**
 * JSON of which there is one text for each value: members in the order of their names, no spaces. What `JSON.stringify` leaves out
 * or changes (undefined, functions, `toJSON`) is left out or changed here too; bytes stand as hexadecimal text.
 *
 * @see RFC 8785, JSON Canonicalization Scheme; numbers and strings are as ECMAScript writes them, as it asks.
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for what has no JSON: a bigint, a cycle, a number that is not finite.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value, '', new Set()) ?? 'null'
}

/**
 * What a request is known by: SHA-256 of its canonical JSON, 43 characters of base64url. Of undefined: of nothing.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` as `canonicalJson`.
 */
export function fingerprintOf(request: unknown): string {
  return digestOf(request === undefined ? '' : canonicalJson(request))
}

/** SHA-256, 43 characters of base64url. */
export function digestOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('base64url')
}

function textOf(given: unknown, name: string, around: Set<object>): string | undefined {
  const value = plainOf(given, name)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'number':
      // JSON.stringify would say null, and so make two requests the same that are not.
      if (!Number.isFinite(value)) throw refused('finite numbers', value)
      return JSON.stringify(value)
    case 'bigint':
      throw refused('no bigint', value)
    case 'object':
      return value === null ? 'null' : objectText(value, around)
    default:
      return undefined
  }
}

function plainOf(value: unknown, name: string): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')
  if (typeof value !== 'object' || value === null) return value
  const { toJSON } = value as { readonly toJSON?: unknown }
  return typeof toJSON === 'function' ? (toJSON.call(value, name) as unknown) : value
}

/** @param around the objects that it stands in: where one comes again, each way back to it would be gone for ever. */
function objectText(value: object, around: Set<object>): string {
  if (around.has(value) || around.size >= DEPTH_MAX) {
    throw refused(`no cycle, and at most ${DEPTH_MAX} levels`, value)
  }
  around.add(value)
  const text = Array.isArray(value) ? arrayText(value, around) : membersText(value, around)
  around.delete(value)
  return text
}

function arrayText(items: readonly unknown[], around: Set<object>): string {
  return `[${items.map((item, index) => textOf(item, String(index), around) ?? 'null').join(',')}]`
}

function membersText(value: object, around: Set<object>): string {
  const members: string[] = []
  // By UTF-16 code units, as the default order of JavaScript is.
  for (const name of Object.keys(value).sort()) {
    const text = textOf((value as Readonly<Record<string, unknown>>)[name], name, around)
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`)
  }
  return `{${members.join(',')}}`
}

function refused(expected: string, seen: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    'fingerprint',
    `Expected \`fingerprint\` to be a value with ${expected}, got ${show(seen)}.`,
  )
}
