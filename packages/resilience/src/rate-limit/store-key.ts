import { createHash } from 'node:crypto'

const PLAIN = /^[\x20-\x7e]{1,200}$/

/** The name of a key in the store: what it is, or with a hash of the key where a store could not take it as a name. */
export function storeKey(name: string, key: string | undefined): string {
  const text = key === undefined ? name : `${name}/${key}`
  if (PLAIN.test(text)) return text
  const hashed = `${name}/${hashOf(key ?? '')}`
  return PLAIN.test(hashed) ? hashed : hashOf(text)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
