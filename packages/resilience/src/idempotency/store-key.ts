import { InvalidArgumentError, show } from '@holdfast/core'
import { digestOf } from './fingerprint.ts'

/** The longest key that a caller may give, in characters. */
export const KEY_LENGTH_MAX = 255

const REFUSED = /[\u0000-\u001f\u007f-\u009f\p{Surrogate}]/u
const PLAIN = /^[\w.-]{1,100}$/

/**
 * Refuses what cannot be an idempotency key: 1 to 255 characters without control characters or lone surrogates, which are all the same
 * once they are bytes.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkIdempotencyKey(key: unknown): asserts key is string {
  if (typeof key === 'string' && key.length >= 1 && key.length <= KEY_LENGTH_MAX && !REFUSED.test(key)) return
  throw new InvalidArgumentError(
    'idempotencyKey',
    `Expected \`idempotencyKey\` to be 1 to ${KEY_LENGTH_MAX} characters without control characters or lone surrogates, got ${show(key)}.`,
  )
}

/**
 * What a key of a scope is called in the store, never the same for two of them: readable where it can be, else a hash. A plain key has
 * neither `:` nor `~`, so it is always clear where the scope ends, and which of the two it is.
 */
export function storeKeyOf(scope: string, key: string): string {
  return PLAIN.test(key) ? `${scope}:${key}` : `${scope}:~${digestOf(key)}`
}
