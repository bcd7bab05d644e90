import type { Rejection } from '../errors.ts'

/**
 * The fields that tell a client of the quota that it used up: `RateLimit-Policy: "orders";q=100;w=60` and
 * `RateLimit: "orders";r=0;t=7`. Empty where no limit is known. A window that is no whole number of seconds is left out.
 *
 * @see draft-ietf-httpapi-ratelimit-headers-10; RFC 9651 (structured fields)
 */
export function rateLimitFields({ rule, limit, periodMs, retryAfterMs }: Rejection): Record<string, string> {
  if (limit === undefined) return {}
  const name = structuredString(rule)
  const window = periodMs !== undefined && periodMs % 1_000 === 0 ? `;w=${periodMs / 1_000}` : ''
  const reset = retryAfterMs === undefined ? '' : `;t=${Math.max(1, Math.ceil(retryAfterMs / 1_000))}`
  return {
    'RateLimit-Policy': `${name};q=${Math.floor(limit)}${window}`,
    RateLimit: `${name};r=0${reset}`,
  }
}

// A string of RFC 9651 is printable ASCII; names of rules may be more.
function structuredString(text: string): string {
  const ascii = text.replace(/[^\x20-\x7e]+/gu, other => encodeURIComponent(other))
  return `"${ascii.replace(/["\\]/g, '\\$&')}"`
}
