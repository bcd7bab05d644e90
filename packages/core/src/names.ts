import { InvalidArgumentError } from './errors.ts'

/** The longest name that a user may choose, in bytes of UTF-8. */
export const NAME_BYTES_MAX = 200

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/u
const PLAIN_ASCII = /^[\x20-\x7e]{1,200}$/
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

/** A value as an error message shows it: short, on one line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
}

/** Percent-encodes the characters that a store reserves, and `%` itself, so that `decodeURIComponent` gives the name back. */
export function percentEncode(name: string, reserved: RegExp): string {
  return name.replace(reserved, char => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
