import { RefusedError, UnavailableError, UnsupportedError } from '../errors.ts'

const REPLY_NAME = 'ReplyError'
// Answers that only say "not now": the same question may be answered in a moment.
const PASSING = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS)\b/
const NO_SCRIPT = /^NOSCRIPT\b/

/** Whether the server answered, and did not like the question. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === REPLY_NAME && !PASSING.test(error.message)
}

export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && NO_SCRIPT.test(error.message)
}

/** What the server's "no" means to a caller. */
export function refusal(error: unknown): RefusedError | UnsupportedError {
  const message =
    error instanceof Error ? error.message.replace(/ script: \w+, on @user_script:\d+\.$/, '') : String(error)
  // The driver hangs the whole script on its errors, and Node prints it all.
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return new RefusedError(`Redis refused: ${message}`, { cause: error })
}

/** What the lack of an answer means to a caller. */
export function unavailable(address: string, timeoutMs: number, cause: unknown): UnavailableError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : ''
  return new UnavailableError(`Redis at ${address} did not answer within ${timeoutMs} ms${why}.`, { cause })
}
