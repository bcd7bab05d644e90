import { isPlain } from './json-problem.ts'

/** Freezes plain objects and arrays, all the way down. What has a class of its own (a Date, a Map, a Secret) stays as it is. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (!Array.isArray(value) && !isPlain(value)) return value
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
  return value
}
