import { show } from '@holdfast/core'

/** How deep the values of a namespace may be nested. */
export const DEPTH_MAX = 32

/** Keys that mean something else to JavaScript's objects. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** Whether UTF-8 can carry a text: it has no lone surrogate. */
export function isWellFormed(text: string): boolean {
  // Of ES2024, and in every Node.js that this runs on.
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/** What keeps a value from standing in a release, and where. */
export interface JsonProblem {
  readonly path: readonly string[]
  /** A phrase that follows the name of the value: `is not JSON: undefined`. It never shows a text. */
  readonly message: string
}

/** The first thing in a value that a release cannot carry; undefined when it is JSON, and neither deeper nor stranger than allowed. */
export function jsonProblemOf(value: unknown): JsonProblem | undefined {
  // Most often there is none, and no path to be told.
  return isSound(value, 0) ? undefined : problemAt(value, [])
}

function isSound(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return isWellFormed(value)
    case 'number':
      return Number.isFinite(value)
    case 'boolean':
      return true
    case 'object':
      return value === null || (depth < DEPTH_MAX && isSoundWithin(value, depth + 1))
    default:
      return false
  }
}

function isSoundWithin(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value
    for (let at = 0; at < items.length; at += 1) if (!isSound(items[at], depth)) return false
    return true
  }
  if (!isPlain(value)) return false
  for (const key of Object.keys(value)) {
    if (FORBIDDEN_KEYS.has(key) || !isWellFormed(key)) return false
    if (!isSound((value as Readonly<Record<string, unknown>>)[key], depth)) return false
  }
  return true
}

function problemAt(value: unknown, path: readonly string[]): JsonProblem | undefined {
  if (typeof value === 'object' && value !== null) return problemWithin(value, path)
  switch (typeof value) {
    case 'string':
      return isWellFormed(value) ? undefined : { path, message: 'has a lone surrogate, which UTF-8 cannot carry' }
    case 'number':
      return Number.isFinite(value) ? undefined : { path, message: `is not JSON: ${value}` }
    case 'boolean':
    case 'object':
      return undefined
    default:
      return { path, message: `is not JSON: ${show(value)}` }
  }
}

function problemWithin(value: object, path: readonly string[]): JsonProblem | undefined {
  if (path.length >= DEPTH_MAX) return { path, message: `is nested more than ${DEPTH_MAX} deep` }
  if (!Array.isArray(value) && !isPlain(value)) return { path, message: 'is not JSON: an object of a class' }
  for (const [key, inner] of entriesOf(value)) {
    const problem = keyProblemOf(key, path) ?? problemAt(inner, [...path, key])
    if (problem !== undefined) return problem
  }
  return undefined
}

// An array's holes are undefined, which `Object.entries` would pass over.
function entriesOf(value: object): Iterable<readonly [string, unknown]> {
  return Array.isArray(value) ? Array.from(value, (item, index) => [String(index), item]) : Object.entries(value)
}

function keyProblemOf(key: string, path: readonly string[]): JsonProblem | undefined {
  if (FORBIDDEN_KEYS.has(key)) return { path, message: `has the key ${show(key)}, which no object may have` }
  if (!isWellFormed(key)) return { path, message: 'has a key with a lone surrogate, which UTF-8 cannot carry' }
  return undefined
}

/** Whether it was made by `{}`, `JSON.parse` or `Object.create(null)`. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
