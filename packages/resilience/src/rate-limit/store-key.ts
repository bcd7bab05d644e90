import { createHash } from 'node:crypto'

const PLAIN = /^[\x20-\x7e]{1,200}$/

/** The name of a key in the store: what it is, or a hash where a store could not take it as a name. */
export function storeKey(name: string, key: string | undefined): string {
  if (key === undefined) return name
  const text = `${name}/${key}`
  return PLAIN.test(text) ? text : createHash('sha256').update(text).digest('hex')
}
