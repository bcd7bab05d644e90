import { RESULT_BYTES_MAX, UnknownOutcomeError, show } from '@holdfast/core'

/** How results become bytes, and bytes results. */
export interface ResultCodec {
  encode(value: unknown): Uint8Array | string
  decode(bytes: Uint8Array): unknown
}

/** What is stored of a call: a letter that says what it is, and bytes. */
type Kind = 'v' | 'u' | 'e' | 'n'

/** A call that is over, as it is stored. */
export interface StoredResult {
  readonly bytes: Uint8Array
  readonly failed: boolean
  /** Why the result itself could not be kept; the call counts as done all the same. */
  readonly notKept: { readonly cause: unknown; readonly isTooLarge: boolean } | undefined
}

/** JSON: what it leaves out is lost (a `Date` comes back as text), and what it cannot say at all is refused. */
export const jsonCodec: ResultCodec = Object.freeze({
  encode: (value: unknown): string => {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new TypeError(`${show(value)} has no JSON.`)
    return text
  },
  decode: (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes)) as unknown,
})

/** What to store of a value. Never throws: what cannot be encoded, or is too large, is stored as done without its result. */
export function storedValue(value: unknown, codec: ResultCodec): StoredResult {
  if (value === undefined) return { bytes: tagged('u', ''), failed: false, notKept: undefined }
  return stored('v', false, () => codec.encode(value))
}

/** What to store of an error: its name, its message and its own fields, as far as they have JSON; no stack. */
export function storedError(error: unknown): StoredResult {
  return stored('e', true, () => {
    if (!(error instanceof Error)) return jsonCodec.encode({ value: error })
    const own = Object.fromEntries(Object.entries(error))
    return jsonCodec.encode({ fields: { ...own, name: error.name, message: error.message } })
  })
}

/**
 * What a stored call came to, again: its value, or its error thrown.
 *
 * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when the call was done, and its result was not kept or cannot be read.
 */
export function replayOf(bytes: Uint8Array, codec: ResultCodec, key: string): unknown {
  const kind = String.fromCharCode(bytes[0] ?? 0)
  const payload = bytes.subarray(1)
  if (kind === 'u') return undefined
  if (kind === 'v') return read(key, () => codec.decode(payload))
  if (kind === 'e') throw read(key, () => errorOf(jsonCodec.decode(payload)))
  throw notKept(key, new TextDecoder().decode(payload))
}

/** What a caller is told whose call was done, and whose result cannot be had. */
export function notKept(key: string, why: string, cause?: unknown): UnknownOutcomeError {
  return new UnknownOutcomeError(
    `The call with the idempotency key "${key}" was done, and is not done again, but its result could not be kept: ${why}`,
    { cause },
  )
}

/** Says in a sentence why something cannot be stored. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function stored(kind: Kind, failed: boolean, encode: () => Uint8Array | string): StoredResult {
  try {
    const bytes = tagged(kind, encode())
    if (bytes.length <= RESULT_BYTES_MAX) return { bytes, failed, notKept: undefined }
    const cause = new RangeError(`it has ${bytes.length - 1} bytes, and ${RESULT_BYTES_MAX - 1} can be kept.`)
    return { bytes: tagged('n', cause.message), failed, notKept: { cause, isTooLarge: true } }
  } catch (cause) {
    return { bytes: tagged('n', reasonOf(cause)), failed, notKept: { cause, isTooLarge: false } }
  }
}

function tagged(kind: Kind, content: Uint8Array | string): Uint8Array {
  const payload = typeof content === 'string' ? new TextEncoder().encode(content) : content
  if (!(payload instanceof Uint8Array)) throw new TypeError(`\`encode\` gave ${show(payload)}, not text or bytes.`)
  const bytes = new Uint8Array(payload.length + 1)
  bytes[0] = kind.charCodeAt(0)
  bytes.set(payload, 1)
  return bytes
}

function read<T>(key: string, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    throw notKept(key, `it cannot be read: ${reasonOf(cause)}`, cause)
  }
}

function errorOf(said: unknown): unknown {
  const { value, fields } = said as { readonly value?: unknown; readonly fields?: Readonly<Record<string, unknown>> }
  if (fields === undefined) return value
  const { name, message, ...rest } = fields
  const error = Object.assign(new Error(String(message)), rest)
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  return error
}
