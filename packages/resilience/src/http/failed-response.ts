import { systemClock } from '@holdfast/core'

/**
 * What policies hear of a response that counts as a failure, so that a `retry` repeats it and a breaker counts it. Whoever called gets the
 * response itself in the end, as from any `fetch`.
 */
export class FailedResponseError extends Error {
  override readonly name = 'FailedResponseError'
  readonly status: number
  readonly response: Response
  /** From `Retry-After`, in milliseconds from now, at least 0; undefined without one. */
  readonly retryAfterMs: number | undefined
  /** Whether doing it again does no harm. */
  readonly isRetryable: boolean

  constructor(response: Response, isRetryable: boolean) {
    super(`The response has status ${response.status}.`)
    this.status = response.status
    this.response = response
    this.retryAfterMs = retryAfterMsOf(response.headers.get('retry-after'), systemClock.wallMs())
    this.isRetryable = isRetryable
  }
}

/** An error without a stack: it is an answer, not a defect. */
export function failedResponse(response: Response, isRetryable: boolean): FailedResponseError {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = new FailedResponseError(response, isRetryable)
  Error.stackTraceLimit = limit
  return error
}

/** The response that an error stands for. */
export function responseOf(error: unknown): Response | undefined {
  return error instanceof FailedResponseError ? error.response : undefined
}

// To read this much costs less than a new connection, which is what follows on a body that is cancelled.
const READ_BYTES_MAX = 65_536

/** Lets go of a response that nobody reads: its connection can be used again where its body is short, and is closed otherwise. */
export function discard(response: Response): void {
  const { body, headers } = response
  if (body === null || body.locked) return
  const sizeBytes = Number(headers.get('content-length') ?? Infinity)
  const gone: Promise<unknown> = sizeBytes <= READ_BYTES_MAX ? response.arrayBuffer() : body.cancel()
  // A body that has failed already is as good as gone.
  gone.catch(() => {})
}

/** @see RFC 9110 section 10.2.3: whole seconds, or a date */
export function retryAfterMsOf(field: string | null, wallMs: number): number | undefined {
  if (field === null) return undefined
  if (/^\d{1,9}$/.test(field.trim())) return Number(field) * 1_000
  const atMs = Date.parse(field)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - wallMs)
}
