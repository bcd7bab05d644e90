import { ClosedError, HoldfastError, RefusedError, UnavailableError } from '../errors.ts'

/** Codes of ZooKeeper's replies that the adapter acts on. */
export const CODE = {
  connectionLoss: -4,
  unimplemented: -6,
  operationTimeout: -7,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  authFailed: -115,
  sessionMoved: -118,
  quotaExceeded: -125,
  throttled: -127,
} as const

const NAMES: ReadonlyMap<number, string> = new Map([
  [-1, 'SYSTEM_ERROR'],
  [-2, 'RUNTIME_INCONSISTENCY'],
  [-3, 'DATA_INCONSISTENCY'],
  [-4, 'CONNECTION_LOSS'],
  [-5, 'MARSHALLING_ERROR'],
  [-6, 'UNIMPLEMENTED'],
  [-7, 'OPERATION_TIMEOUT'],
  [-8, 'BAD_ARGUMENTS'],
  [-100, 'API_ERROR'],
  [-101, 'NO_NODE'],
  [-102, 'NO_AUTH'],
  [-103, 'BAD_VERSION'],
  [-108, 'NO_CHILDREN_FOR_EPHEMERALS'],
  [-110, 'NODE_EXISTS'],
  [-111, 'NOT_EMPTY'],
  [-112, 'SESSION_EXPIRED'],
  [-113, 'INVALID_CALLBACK'],
  [-114, 'INVALID_ACL'],
  [-115, 'AUTH_FAILED'],
  [-118, 'SESSION_MOVED'],
  [-119, 'NOT_READ_ONLY'],
  [-120, 'EPHEMERAL_ON_LOCAL_SESSION'],
  [-124, 'REQUEST_TIMEOUT'],
  [-125, 'QUOTA_EXCEEDED'],
  [-127, 'THROTTLED'],
])

/** `NO_NODE (-101)`; a code that nobody has told us of keeps its number. */
export function nameOfCode(code: number): string {
  return `${NAMES.get(code) ?? 'UNKNOWN'} (${code})`
}

/**
 * Why an operation has no result.
 *
 * - `refused`: the server answered with an error code.
 * - `cut`: it was sent and the connection broke before its reply: it may have been applied.
 * - `timed-out`: no answer within the operation's deadline: it may yet be applied.
 * - `unsent`: it never left this process within its deadline.
 * - `session-lost`: the session it belonged to is over, and its ephemeral nodes with it.
 * - `closed`: by us.
 * - `unauthenticated`: the server does not take our credentials; no new session is tried.
 */
export type OperationFailure =
  | { readonly kind: 'refused'; readonly code: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'unsent' }
  | { readonly kind: 'session-lost' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'unauthenticated' }

/** Ends an operation inside the adapter; callers of the library see what `toHoldfastError` makes of it. */
export class OperationError extends Error {
  override readonly name = 'OperationError'
  readonly failure: OperationFailure

  constructor(failure: OperationFailure, options?: ErrorOptions) {
    super(failure.kind === 'refused' ? nameOfCode(failure.code) : failure.kind, options)
    this.failure = failure
  }
}

/** Whether the server answered with this code. */
export function isCode(error: unknown, code: number): boolean {
  return error instanceof OperationError && error.failure.kind === 'refused' && error.failure.code === code
}

/** Whether the operation failed in this way. */
export function isFailure(error: unknown, kind: OperationFailure['kind']): error is OperationError {
  return error instanceof OperationError && error.failure.kind === kind
}

/** What a caller of the library sees of a failure; every other error stays what it is. */
export function toHoldfastError(error: unknown, server: string): unknown {
  if (!(error instanceof OperationError) || error instanceof HoldfastError) return error
  const { failure } = error
  switch (failure.kind) {
    case 'refused':
      return refusal(failure.code, server, error)
    case 'cut':
      return new UnavailableError(`The connection to ZooKeeper at ${server} broke before the answer came.`, {
        cause: error,
      })
    case 'timed-out':
    case 'unsent':
      return new UnavailableError(`ZooKeeper at ${server} did not answer in time.`, { cause: error })
    case 'session-lost':
      return new UnavailableError(`The session with ZooKeeper at ${server} ended.`, { cause: error })
    case 'closed':
      return new ClosedError('zookeeper backend')
    case 'unauthenticated':
      return new RefusedError(`ZooKeeper at ${server} does not take the credentials: ${nameOfCode(CODE.authFailed)}.`, {
        cause: error,
      })
  }
}

function refusal(code: number, server: string, cause: Error): HoldfastError {
  const isPassing =
    code === CODE.throttled ||
    code === CODE.sessionExpired ||
    code === CODE.sessionMoved ||
    code === CODE.connectionLoss ||
    code === CODE.operationTimeout
  if (isPassing) {
    return new UnavailableError(`ZooKeeper at ${server} cannot serve the request now: ${nameOfCode(code)}.`, { cause })
  }
  return new RefusedError(`ZooKeeper at ${server} refused the request: ${nameOfCode(code)}.`, { cause })
}
