import type { InFlightError, Rejection, RejectionReason } from '../errors.ts'
import { codeOf, isRejection, isTimeout, REASON_TEXT } from '../errors.ts'
import { rateLimitFields } from './rate-limit-fields.ts'

/** An answer over HTTP, whatever writes it. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Problem {
  readonly status: number
  /** The last part of its type. */
  readonly kind: string
  readonly detail: string
  readonly facts?: Readonly<Record<string, unknown>>
  readonly retryAfterMs?: number | undefined
  readonly headers?: Readonly<Record<string, string>>
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  409: 'Conflict',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

// Overload passes in seconds; what a human switched off takes longer.
const RETRY_AFTER_MS_DEFAULT = 1_000
const RETRY_AFTER_MS_BY_HAND = 30_000
const BY_HAND: ReadonlySet<RejectionReason> = new Set(['circuit-isolated', 'degraded'])

/**
 * What a refusal, a timeout or an idempotency key says over HTTP: 429 for a quota, 503 for everything that keeps the service well, 504
 * for time, 409 for a key at work, 422 for a key that was used for another request. With `Retry-After` (whole seconds, at least 1; each
 * 429, 503 and 409 has one), the RateLimit fields where a quota is known, and a body as `application/problem+json`: `type`, `title`,
 * `status`, `detail`, `reason`, and `limit`, `periodMs` and `retryAfterMs` where they are known. It tells nothing of the inside: no keys,
 * no names of policies but that of a quota.
 *
 * @returns undefined for an error that is not ours or cockatiel's.
 * @see RFC 9457 (problem details), RFC 9110 section 10.2.3 (Retry-After), draft-ietf-httpapi-ratelimit-headers-10
 */
export function rejectionResponse(error: unknown): HttpAnswer | undefined {
  const rejection = (error as { readonly rejection?: Rejection } | null | undefined)?.rejection
  if (codeOf(error) === 'HF_REJECTED' && rejection !== undefined) return refusalAnswer(rejection)
  if (codeOf(error) === 'HF_IN_FLIGHT') {
    const { retryAfterMs } = error as InFlightError
    return problemAnswer({ status: 409, kind: 'in-flight', detail: 'It is still under way.', retryAfterMs })
  }
  if (codeOf(error) === 'HF_KEY_REUSED') {
    const detail = 'The idempotency key was used before for another request. Nothing was done.'
    return problemAnswer({ status: 422, kind: 'key-reused', detail })
  }
  if (isTimeout(error)) return problemAnswer({ status: 504, kind: 'timeout', detail: 'It took too long.' })
  if (!isRejection(error)) return undefined
  const detail = 'It cannot be served just now.'
  return problemAnswer({ status: 503, kind: 'refused', detail, retryAfterMs: RETRY_AFTER_MS_DEFAULT })
}

/** A problem as an answer. */
export function problemAnswer({ status, kind, detail, facts, retryAfterMs, headers }: Problem): HttpAnswer {
  const body = { type: `urn:holdfast:problem:${kind}`, title: TITLES[status], status, detail, ...facts }
  const retryAfter = retryAfterMs === undefined ? {} : { 'Retry-After': String(wholeSeconds(retryAfterMs)) }
  return {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...retryAfter, ...headers },
    body: JSON.stringify(body),
  }
}

/** Rounded up, at least 1: who comes too early is refused again. */
export function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}

function refusalAnswer(rejection: Rejection): HttpAnswer {
  const { reason, limit, periodMs, retryAfterMs } = rejection
  const status = statusOf(reason)
  const text = REASON_TEXT[reason]
  return problemAnswer({
    status,
    kind: reason,
    detail: `It was not begun: ${text}.`,
    facts: { reason, ...(status === 429 ? { limit, periodMs } : {}), retryAfterMs },
    retryAfterMs: retryAfterMs ?? (status === 504 ? undefined : defaultRetryAfterMs(reason)),
    headers: status === 429 ? rateLimitFields(rejection) : {},
  })
}

function statusOf(reason: RejectionReason): number {
  if (reason === 'rate-limited') return 429
  return reason === 'deadline' ? 504 : 503
}

function defaultRetryAfterMs(reason: RejectionReason): number {
  return BY_HAND.has(reason) ? RETRY_AFTER_MS_BY_HAND : RETRY_AFTER_MS_DEFAULT
}
