import { isPlain } from './json-problem.ts'

/** Freezes plain objects and arrays, all the way down. What has a class of its own (a Date, a Map, a Secret) stays as it is. */
export function deepFreeze<T>(value: T): T {
  freezeWithin(value, new Set())
  return value
}

// What is frozen is looked into as well: a schema may have frozen the outermost object alone.
function freezeWithin(value: unknown, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  if (!Array.isArray(value) && !isPlain(value)) return
  seen.add(Object.freeze(value))
  for (const inner of Object.values(value)) freezeWithin(inner, seen)
}
