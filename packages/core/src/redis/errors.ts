import { RefusedError, UnavailableError } from '../errors.ts'

const REPLY_NAME = 'ReplyError'
// Answers that only say "not now": the same question may be answered in a moment.
const PASSING = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS|UNBLOCKED)\b/
const DEMOTED = /^READONLY\b/
const ELSEWHERE = /^(MOVED|ASK)\b/
const NO_SCRIPT = /^NOSCRIPT\b/
const BAD_LOGIN = /^(WRONGPASS|NOAUTH)\b/

/** Whether the server answered, and did not like the question. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === REPLY_NAME && !PASSING.test(error.message)
}

export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && NO_SCRIPT.test(error.message)
}

/** Whether the server is not the master any more, or not yet. */
export function isDemoted(error: unknown): boolean {
  return error instanceof Error && DEMOTED.test(error.message)
}

/** Whether it is another node of a Cluster that has the key. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof Error && ELSEWHERE.test(error.message)
}

/** Whether it is our credentials that the server does not like: they will be as wrong the next time. */
export function isBadLogin(error: unknown): boolean {
  return error instanceof Error && BAD_LOGIN.test(error.message)
}

/**
 * The error without what the driver hangs on it: the command, which can be a whole script, or a password. Node prints it all.
 */
export function withoutCommand<E>(error: E): E {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}

/** What the server's "no" means to a caller. */
export function refusal(error: unknown): RefusedError {
  if (isElsewhere(error)) {
    return new RefusedError(
      'Redis refused: the server is a node of a Cluster, and another one has the key: give `redisBackend` a Cluster client of ioredis.',
      { cause: withoutCommand(error) },
    )
  }
  return new RefusedError(`Redis refused: ${sentence(error)}`, { cause: withoutCommand(error) })
}

/** What the lack of an answer means to a caller. */
export function unavailable(address: string, timeoutMs: number, cause: unknown): UnavailableError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${sentence(cause)}` : '.'
  return new UnavailableError(`Redis at ${address} did not answer within ${timeoutMs} ms${why}`, { cause })
}

/** What a command that was sent once, and met a broken connection or a server that cannot answer now, means to a caller. */
export function unanswered(address: string, cause: unknown): UnavailableError {
  return new UnavailableError(`Redis at ${address} gave no answer: ${sentence(cause)}`, {
    cause: withoutCommand(cause),
  })
}

// The server says where in the script it was, and ends with a full stop or without.
function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return `${message.replace(/ script: \w+, on @user_script:\d+\.$/, '').replace(/\.$/, '')}.`
}
