import { KEY_LENGTH_MAX } from './store-key.ts'

/** What the header `Idempotency-Key` says. */
export type HeaderKey =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'malformed'; readonly why: string }

// A string of structured fields (RFC 8941, 3.3.3), and parameters behind it, which say nothing to us.
const QUOTED = /^"((?:[ !#-[\]-~]|\\["\\])*)"(?:[ \t]*;[!-~ \t]*)?$/
// Visible ASCII, but for what ends an item.
const BARE = /^[!#-+\--:<-~]+$/

/**
 * Reads the header `Idempotency-Key`: a quoted string, or bare, as many clients send it.
 *
 * @see draft-ietf-httpapi-idempotency-key-header-07, 2.1
 */
export function headerKeyOf(header: string | readonly string[] | null | undefined): HeaderKey {
  const [first, ...others] = typeof header === 'string' ? [header] : (header ?? [])
  if (first === undefined) return { kind: 'missing' }
  if (others.length > 0) return malformed('It was sent more than once.')
  const text = first.trim()
  const quoted = QUOTED.exec(text)?.[1]
  if (quoted === undefined && !BARE.test(text)) return malformed('It is neither a quoted string nor a bare token.')
  const key = quoted === undefined ? text : quoted.replace(/\\(["\\])/g, '$1')
  if (key === '') return malformed('It is empty.')
  if (key.length > KEY_LENGTH_MAX)
    return malformed(`It has ${key.length} characters, and ${KEY_LENGTH_MAX} are allowed.`)
  return { kind: 'key', key }
}

function malformed(why: string): HeaderKey {
  return { kind: 'malformed', why }
}
