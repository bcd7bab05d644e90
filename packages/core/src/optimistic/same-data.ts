type Pairs = Map<object, object>

/**
 * Whether two copies that `structuredClone` made have the same in them, in the same order. What it does not know how to look into (an
 * Error, a RegExp) passes for the same.
 */
export function sameData(one: unknown, other: unknown, compared: Pairs = new Map()): boolean {
  if (!isObject(one) || !isObject(other)) return Object.is(one, other)
  if (compared.get(one) === other) return true
  compared.set(one, other)
  if (one instanceof Date) return other instanceof Date && Object.is(one.getTime(), other.getTime())
  if (ArrayBuffer.isView(one)) return ArrayBuffer.isView(other) && sameBytes(one, other)
  if (one instanceof Map) return other instanceof Map && sameData([...one], [...other], compared)
  if (one instanceof Set) return other instanceof Set && sameData([...one], [...other], compared)
  const [keys, others] = [Object.keys(one), Object.keys(other)]
  if (Array.isArray(one) !== Array.isArray(other) || keys.length !== others.length) return false
  return keys.every(
    (key, at) => key === others[at] && sameData(Reflect.get(one, key), Reflect.get(other, key), compared),
  )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function sameBytes(one: ArrayBufferView, other: ArrayBufferView): boolean {
  const [bytes, others] = [bytesOf(one), bytesOf(other)]
  return bytes.length === others.length && bytes.every((byte, at) => byte === others[at])
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
