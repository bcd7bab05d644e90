import { InvalidArgumentError } from './errors.ts'

/** The longest name that a user may choose, in bytes of UTF-8. */
export const NAME_BYTES_MAX = 200

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/u
const PLAIN_ASCII = /^[\x20-\x7e]{1,200}$/
// In the query of an address, and among the words that libpq takes for one.
const PASSWORD_WORD = /(password=)('[^']*'|[^&#\s]+)/gi
const encoder = new TextEncoder()

/**
 * Refuses what cannot be a name: 1 to 200 bytes of UTF-8, without control characters or lone surrogates.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkName(argument: string, name: unknown): asserts name is string {
  if (typeof name === 'string' && PLAIN_ASCII.test(name)) return
  if (typeof name !== 'string') {
    throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a string, got ${show(name)}.`)
  }
  if (name === '') throw refused(argument, `of 1 to ${NAME_BYTES_MAX} bytes of UTF-8`, name)
  const bytes = encoder.encode(name).length
  if (bytes > NAME_BYTES_MAX) {
    throw refused(argument, `of at most ${NAME_BYTES_MAX} bytes of UTF-8`, name, `${bytes} bytes`)
  }
  if (CONTROL.test(name)) throw refused(argument, 'without control characters', name)
  if (/\p{Surrogate}/u.test(name)) throw refused(argument, 'without lone surrogates', name)
}

function refused(argument: string, expected: string, seen: unknown, size?: string): InvalidArgumentError {
  const got = size === undefined ? show(seen) : `${size}: ${show(seen)}`
  return new InvalidArgumentError(argument, `Expected \`${argument}\` to be a name ${expected}, got ${got}.`)
}

/** A value as an error message shows it: short, on one line, and without the password of an address. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shortened(withoutPassword(value)))
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  if (isPromise(value)) return 'a promise (did you forget await?)'
  return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
}

/** Whether it is to be awaited: of the language, or of a driver. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

// Before it is shortened: without its @ nobody would know it for one. A password that should have been encoded may hold whatever an
// address does, so all up to the last @ counts.
function withoutPassword(text: string): string {
  const userAt = text.indexOf('://') + 3
  if (userAt < 3) return text.replace(PASSWORD_WORD, '$1***')
  const colonAt = text.indexOf(':', userAt)
  const hostAt = text.lastIndexOf('@')
  const masked = colonAt < 0 || colonAt > hostAt ? text : `${text.slice(0, colonAt + 1)}***${text.slice(hostAt)}`
  return masked.replace(PASSWORD_WORD, '$1***')
}

/** Percent-encodes the characters that a store reserves, and `%` itself, so that `decodeURIComponent` gives the name back. */
export function percentEncode(name: string, reserved: RegExp): string {
  return name.replace(reserved, char => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
