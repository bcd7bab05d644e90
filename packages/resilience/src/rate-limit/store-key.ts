import { createHash } from 'node:crypto'

const PLAIN = /^[\x20-\x7e]{1,200}$/
const AMBIGUOUS = /\/|^\d+\|/

/**
 * A name as it stands before a key: where it has slashes itself, it says how many, or `api` with the key `search/ann` would share a
 * quota with `api/search` and the key `ann`.
 */
export function storeName(name: string): string {
  return AMBIGUOUS.test(name) ? `${name.split('/').length - 1}|${name}` : name
}

/** What a key of a `storeName` is called in the store: what it is, or with a hash of the key where a store could not take it as a name. */
export function storeKey(name: string, key: string | undefined): string {
  const text = key === undefined ? name : `${name}/${key}`
  if (PLAIN.test(text)) return text
  const hashed = `${name}/${hashOf(key ?? '')}`
  return PLAIN.test(hashed) ? hashed : hashOf(text)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
