import { isPlain } from './json-problem.ts'

/** Freezes plain objects and arrays, all the way down. What has a class of its own (a Date, a Map, a Secret) stays as it is. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) freezeWithin(value, new Set())
  return value
}

// What is frozen is looked into as well: a schema may have frozen the outermost object alone.
function freezeWithin(value: object, seen: Set<object>): void {
  if (seen.has(value) || (!Array.isArray(value) && !isPlain(value))) return
  seen.add(Object.freeze(value))
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  // By index, here and wherever each value of a content is looked at: an iterator makes an object for each.
  for (let at = 0; at < parts.length; at += 1) {
    const inner = parts[at]
    if (typeof inner === 'object' && inner !== null) freezeWithin(inner, seen)
  }
}
