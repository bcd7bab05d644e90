const DIGITS = /^\d+$/

/**
 * When to come again, in milliseconds from now, as far as an error or a result says: by `retryAfterMs`, or by the header
 * `Retry-After` (seconds, or a date) of its `headers` or those of its `response`. A date that has passed is 0; what cannot be read
 * is undefined.
 *
 * @see RFC 9110, section 10.2.3
 */
export function retryAfterOf(outcome: unknown, wallMs: number): number | undefined {
  if (typeof outcome !== 'object' || outcome === null) return undefined
  const { retryAfterMs, headers, response } = outcome as Readonly<Record<string, unknown>>
  if (typeof retryAfterMs === 'number' && retryAfterMs >= 0) return retryAfterMs
  const fromHeaders = headerMs(headers, wallMs)
  if (fromHeaders !== undefined || typeof response !== 'object' || response === null) return fromHeaders
  return headerMs((response as { readonly headers?: unknown }).headers, wallMs)
}

function headerMs(headers: unknown, wallMs: number): number | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined
  const text = headerOf(headers)
  if (typeof text === 'number') return text >= 0 ? text * 1_000 : undefined
  if (typeof text !== 'string') return undefined
  if (DIGITS.test(text.trim())) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER)
  // Dates have letters; Date.parse takes much else, -5 for one.
  const atMs = /[a-z]/i.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - wallMs)
}

function headerOf(headers: object): unknown {
  const { get } = headers as { readonly get?: unknown }
  if (typeof get === 'function') return (headers as { get(name: string): unknown }).get('retry-after')
  const key = Object.keys(headers).find(name => name.toLowerCase() === 'retry-after')
  return key === undefined ? undefined : (headers as Readonly<Record<string, unknown>>)[key]
}
