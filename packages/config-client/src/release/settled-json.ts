import type { Json, JsonObject } from './json.ts'
import { isJsonArray, isJsonObject } from './json.ts'
import { DEPTH_MAX, FORBIDDEN_KEYS, isWellFormed } from './json-problem.ts'

/**
 * What was parsed of JSON, as a content keeps it: sound, frozen all the way down, and where it says what `known` says the very object
 * of `known`. So what a release leaves as it was is neither kept a second time nor compared again by those who come after. One walk
 * does all three, since each instance does it with each release.
 *
 * @param value is frozen as it is, and parts of it are replaced
 * @param known what this made of another value, if there is one
 * @returns undefined when a release cannot carry it, and `jsonProblemOf` says why
 */
export function settledJson(value: Json, known: Json | undefined): Json | undefined {
  return settled(value, known, 0)
}

function settled(value: Json, known: Json | undefined, depth: number): Json | undefined {
  if (typeof value === 'string') return value === known || isWellFormed(value) ? value : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return undefined
  return isJsonArray(value)
    ? settledList(value as Json[], isJsonArray(known) ? known : undefined, depth + 1)
    : settledObject(value as Record<string, Json>, isJsonObject(known) ? known : undefined, depth + 1)
}

function settledList(list: Json[], known: readonly Json[] | undefined, depth: number): readonly Json[] | undefined {
  let isKnown = known?.length === list.length
  for (let at = 0; at < list.length; at += 1) {
    const item = settled(list[at] as Json, known?.[at], depth)
    if (item === undefined) return undefined
    list[at] = item
    isKnown &&= Object.is(item, known?.[at])
  }
  return isKnown ? known : Object.freeze(list)
}

function settledObject(
  object: Record<string, Json>,
  known: JsonObject | undefined,
  depth: number,
): JsonObject | undefined {
  const keys = Object.keys(object)
  let isKnown = known !== undefined && Object.keys(known).length === keys.length
  for (const key of keys) {
    // First of all: what is set under such a key may not be what is read there.
    if (FORBIDDEN_KEYS.has(key) || !isWellFormed(key)) return undefined
    const before = known !== undefined && Object.hasOwn(known, key) ? known[key] : undefined
    const value = settled(object[key] as Json, before, depth)
    if (value === undefined) return undefined
    object[key] = value
    isKnown &&= Object.is(value, before)
  }
  return isKnown ? known : Object.freeze(object)
}
