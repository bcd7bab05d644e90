import { RefusedError, UnavailableError } from '../errors.ts'

/** What the server itself says: `code` is its SQLSTATE. */
interface ServerError extends Error {
  readonly code: string
}

// See https://www.postgresql.org/docs/current/errcodes-appendix.html
// Another transaction was in the way, or the statement took too long: the same may work in a moment.
const BUSY = /^(40|55P03|57014)/
// The server ends the connection, and what was sent may have been done before.
const ENDED = /^(08|57P|25P)/
// No connection is to be had, or it leads to a server that may not write any more.
const USELESS = /^(53300|25006)/
// No such schema, table or function.
const MISSING = /^(3F000|42P01|42883)/
const NOT_ALLOWED = '42501'
// A statement had failed before in the same transaction.
const FAILED_BEFORE = '25P02'

/** Whether another transaction was in the way. The server undid the statement. */
export function isBusy(error: unknown): boolean {
  return isServerError(error) && BUSY.test(error.code)
}

/** Whether the connection, or the server behind it, is of no use just now. */
export function isLost(error: unknown): boolean {
  if (!isServerError(error)) return !isBadLogin(error)
  return ENDED.test(error.code) || USELESS.test(error.code)
}

/** Whether our tables or functions are not there. */
export function isMissing(error: unknown): boolean {
  return isServerError(error) && MISSING.test(error.code)
}

export function isNotAllowed(error: unknown): boolean {
  return isServerError(error) && error.code === NOT_ALLOWED
}

/** Whether the server does nothing more in this transaction than to roll it back. */
export function isFailedBefore(error: unknown): boolean {
  return isServerError(error) && error.code === FAILED_BEFORE
}

/** Whether the server answered that it undid the statement. */
export function isStatementError(error: unknown): boolean {
  return isServerError(error) && !ENDED.test(error.code)
}

/**
 * The error without what may hold a secret: the driver hangs the client on it, which has the password, and the server quotes
 * values that it was sent. Node prints it all.
 */
export function withoutSecrets<E>(error: E): E {
  if (!(error instanceof Error)) return error
  for (const key of ['client', 'detail', 'where', 'internalQuery', 'input']) Reflect.deleteProperty(error, key)
  return error
}

/** What the server's "no" means to a caller. */
export function refusal(error: unknown): RefusedError {
  return new RefusedError(`PostgreSQL refused: ${sentence(error)}`, { cause: withoutSecrets(error) })
}

/** What the lack of an answer means to a caller. */
export function unavailable(address: string, timeoutMs: number, cause: unknown): UnavailableError {
  const why = cause instanceof Error && cause.message !== '' ? `: ${sentence(cause)}` : '.'
  return new UnavailableError(`PostgreSQL at ${address} did not answer within ${timeoutMs} ms${why}`, {
    cause: withoutSecrets(cause),
  })
}

/** What a statement that was sent once, and met a broken connection or another transaction, means to a caller. */
export function unanswered(address: string, cause: unknown): UnavailableError {
  return new UnavailableError(`PostgreSQL at ${address} gave no answer: ${sentence(cause)}`, {
    cause: withoutSecrets(cause),
  })
}

function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string'
}

// What the driver says when the server wants a password and none was given.
function isBadLogin(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('SASL:')
}

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return `${message.replace(/\.$/, '')}.`
}
