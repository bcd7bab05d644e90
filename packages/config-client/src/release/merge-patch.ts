import { isEncrypted } from './encryption.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'

/**
 * What a merge patch makes of a value, by RFC 7396: objects are merged, null takes a key away, all else (an array too) replaces. Here an
 * encrypted value is one value as well. Neither argument is changed.
 */
export function mergePatch(target: Json | undefined, patch: JsonObject): JsonObject {
  const merged = new Map<string, Json>(isMergeable(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, isMergeable(value) ? mergePatch(merged.get(key), value) : value)
  }
  return Object.fromEntries(merged)
}

function isMergeable(value: Json | undefined): value is JsonObject {
  return isJsonObject(value) && !isEncrypted(value)
}
