/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [key: string]: Json
}

/** Of a code unit that is printed as an escape. */
const ESCAPED_BYTES = 6
/** Of the longest number, and more than any other value has that is neither a text nor in another one. */
const NUMBER_BYTES = 25

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** A copy that shares nothing with the original. */
export function copyOfJson(value: Json): Json {
  if (isJsonArray(value)) return value.map(copyOfJson)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copyOfJson(inner)]))
}

/** No fewer bytes than a value has as JSON without blanks, and far more at times. */
export function jsonBytesAtMost(value: Json): number {
  if (typeof value === 'string') return value.length * ESCAPED_BYTES + 2
  let bytes = NUMBER_BYTES
  if (isJsonArray(value)) for (let at = 0; at < value.length; at += 1) bytes += jsonBytesAtMost(value[at] as Json) + 1
  else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) bytes += jsonBytesAtMost(key) + jsonBytesAtMost(value[key] as Json) + 2
  }
  return bytes
}
