import { codeOf } from '../errors.ts'
import type { Answer } from './http-answer.ts'

/** What a client is told instead of a response: as RFC 9457 has it. */
interface Problem {
  readonly status: 400 | 409 | 413 | 422 | 503
  /** The last part of its type. */
  readonly kind: string
  readonly detail: string
  readonly retryAfterMs?: number
}

const TITLES: Readonly<Record<Problem['status'], string>> = {
  400: 'Bad Request',
  409: 'Conflict',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  503: 'Service Unavailable',
}

const SOON_MS = 1_000

/** What became of a request that the idempotency policy did not let through; undefined for errors that are not its own. */
export function problemOf(error: unknown): Answer | undefined {
  switch (codeOf(error)) {
    case 'HF_IN_FLIGHT': {
      const detail = 'A request with the same idempotency key is still under way.'
      const { retryAfterMs } = error as { readonly retryAfterMs: number }
      return answerOf({ status: 409, kind: 'in-flight', detail, retryAfterMs })
    }
    case 'HF_STALE_TOKEN': {
      const detail = 'Another request with the same idempotency key has taken over: ask again for its response.'
      return answerOf({ status: 409, kind: 'taken-over', detail, retryAfterMs: SOON_MS })
    }
    case 'HF_UNKNOWN_OUTCOME': {
      const detail = 'The request was begun before, and is not done again; what came of it is not known.'
      return answerOf({ status: 409, kind: 'unknown-outcome', detail })
    }
    case 'HF_KEY_REUSED': {
      const detail = 'The idempotency key was used before for another request. Nothing was done.'
      return answerOf({ status: 422, kind: 'key-reused', detail })
    }
    case 'HF_UNAVAILABLE':
    case 'HF_REFUSED':
    case 'HF_CLOSED': {
      const detail = 'Whether the request was done before cannot be found out just now. Nothing was done.'
      return answerOf({ status: 503, kind: 'store-unavailable', detail, retryAfterMs: SOON_MS })
    }
    default:
      return undefined
  }
}

/** A request whose key is missing where it has to have one, or is none. */
export function badKey(detail: string): Answer {
  return answerOf({ status: 400, kind: 'invalid-idempotency-key', detail })
}

/** A response that was sent once, and was too large to be kept. */
export function bodyNotKept(status: number): Answer {
  const detail = `The request was done, and answered with ${status}; that answer was too large to be kept.`
  return answerOf({ status: 409, kind: 'response-not-kept', detail })
}

/** A request whose body is larger than what is compared with another. */
export function bodyTooLarge(bytesMax: number): Answer {
  const detail = `A request with an idempotency key may have a body of ${bytesMax} bytes at most.`
  return answerOf({ status: 413, kind: 'body-too-large', detail })
}

function answerOf({ status, kind, detail, retryAfterMs }: Problem): Answer {
  const problem = { type: `urn:holdfast:problem:${kind}`, title: TITLES[status], status, detail }
  const headers: (readonly [name: string, value: string])[] = [['content-type', 'application/problem+json']]
  if (retryAfterMs !== undefined) headers.push(['retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))])
  return { status, headers, body: new TextEncoder().encode(JSON.stringify(problem)), isReplayed: false }
}
