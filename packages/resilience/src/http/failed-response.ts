import { systemClock } from '@holdfast/core'
import { retryAfterOf } from '../retry/retry-after.ts'

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
    this.retryAfterMs = retryAfterOf(response, systemClock.wallMs())
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
