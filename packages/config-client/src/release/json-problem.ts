import { show } from '@holdfast/core'

/** How deep the values of a namespace may be nested. */
export const DEPTH_MAX = 32

/** Keys that mean something else to JavaScript's objects. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

export const LONE_SURROGATE: RegExp = /\p{Surrogate}/u

/** What keeps a value from standing in a release, and where. */
export interface JsonProblem {
  readonly path: readonly string[]
  /** A phrase that follows the name of the value: `is not JSON: undefined`. It never shows a text. */
  readonly message: string
}

/** The first thing in a value that a release cannot carry; undefined when it is JSON, and neither deeper nor stranger than allowed. */
export function jsonProblemOf(value: unknown, path: readonly string[] = []): JsonProblem | undefined {
  if (typeof value === 'object' && value !== null) return problemWithin(value, path)
  switch (typeof value) {
    case 'string':
      return LONE_SURROGATE.test(value)
        ? { path, message: 'has a lone surrogate, which UTF-8 cannot carry' }
        : undefined
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
    const problem = keyProblemOf(key, path) ?? jsonProblemOf(inner, [...path, key])
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
  if (LONE_SURROGATE.test(key)) return { path, message: 'has a key with a lone surrogate, which UTF-8 cannot carry' }
  return undefined
}

/** Whether it was made by `{}`, `JSON.parse` or `Object.create(null)`. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
