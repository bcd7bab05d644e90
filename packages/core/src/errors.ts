import type { FencingToken } from './fencing/token.ts'

/** Every code that a Holdfast error can carry. Each has a section in `docs/errors.md`. */
export type HoldfastErrorCode =
  | 'HF_INVALID_ARGUMENT'
  | 'HF_WAIT_TIMEOUT'
  | 'HF_UNAVAILABLE'
  | 'HF_REFUSED'
  | 'HF_UNKNOWN_OUTCOME'
  | 'HF_LEASE_LOST'
  | 'HF_STALE_TOKEN'
  | 'HF_CONFLICT'
  | 'HF_INVALID_CONFIG'
  | 'HF_NO_CONFIG'
  | 'HF_UNTRUSTED'
  | 'HF_FORBIDDEN'
  | 'HF_REJECTED'
  | 'HF_TIMEOUT'
  | 'HF_IN_FLIGHT'
  | 'HF_KEY_REUSED'
  | 'HF_CLOSED'
  | 'HF_UNSUPPORTED'
  | 'HF_DRIVER'
  | 'HF_INVARIANT'

/** The root of all errors that Holdfast throws. Tell them apart by `code`. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError'
  readonly code: HoldfastErrorCode

  constructor(code: HoldfastErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The caller passed something that can never work. Nothing was done. */
export class InvalidArgumentError extends HoldfastError {
  override readonly name = 'InvalidArgumentError'
  /** The argument or option that was refused. */
  readonly argument: string

  constructor(argument: string, message: string, options?: ErrorOptions) {
    super('HF_INVALID_ARGUMENT', message, options)
    this.argument = argument
  }
}

/** What the caller waited for did not come while it would wait: a resource stayed held by others, a barrier shut. Nothing is held. */
export class WaitTimeoutError extends HoldfastError {
  override readonly name = 'WaitTimeoutError'
  readonly resource: string
  readonly waitMs: number

  /** `message` where it is something else than others who hold it. */
  constructor(resource: string, waitMs: number, message?: string) {
    const held =
      waitMs === 0
        ? `"${resource}" is held by another, and the caller did not want to wait.`
        : `"${resource}" was still held by another after waiting ${waitMs} ms.`
    super('HF_WAIT_TIMEOUT', message ?? held)
    this.resource = resource
    this.waitMs = waitMs
  }
}

/** The backend did not answer in time or cannot be reached. Whatever the request left behind is being taken back. */
export class UnavailableError extends HoldfastError {
  override readonly name = 'UnavailableError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_UNAVAILABLE', message, options)
  }
}

/** The backend answered and said no (permission, wrong type, out of memory). Trying again will not help. */
export class RefusedError extends HoldfastError {
  override readonly name = 'RefusedError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_REFUSED', message, options)
  }
}

/** A write was sent and its answer never came: it may or may not have been applied. */
export class UnknownOutcomeError extends HoldfastError {
  override readonly name = 'UnknownOutcomeError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_UNKNOWN_OUTCOME', message, options)
  }
}

/**
 * Why a lease ended before its holder released it.
 *
 * - `expired`: its deadline passed without an acknowledged renewal.
 * - `revoked`: the store said that another holds it, or that it is gone.
 * - `session-lost`: the backend's session ended (ZooKeeper).
 * - `hold-limit`: it was held for `holdMsMax`.
 * - `closed`: its backend was closed.
 * - `released`: it was given back, and is used all the same.
 * - `scope-ended`: the re-entrant scope it came from has ended.
 */
export type LeaseLostReason =
  | 'expired'
  | 'revoked'
  | 'session-lost'
  | 'hold-limit'
  | 'closed'
  | 'released'
  | 'scope-ended'

const LOST_BECAUSE: Readonly<Record<LeaseLostReason, string>> = {
  expired: 'its deadline passed without an acknowledged renewal',
  revoked: 'the store no longer has it as ours',
  'session-lost': 'the session that kept it ended',
  'hold-limit': 'it was held for as long as `holdMsMax` allows',
  closed: 'its backend was closed',
  released: 'it was already released',
  'scope-ended': 'the scope that it belonged to has ended',
}

/** The lease has ended: whoever gets this must not act as its holder any more. */
export class LeaseLostError extends HoldfastError {
  override readonly name = 'LeaseLostError'
  readonly resource: string
  readonly reason: LeaseLostReason

  constructor(resource: string, reason: LeaseLostReason, options?: ErrorOptions) {
    super('HF_LEASE_LOST', `The lease on "${resource}" is lost: ${LOST_BECAUSE[reason]}.`, options)
    this.resource = resource
    this.reason = reason
  }
}

/** A guard has seen a newer fencing token for the resource. The write was refused and changed nothing. */
export class StaleTokenError extends HoldfastError {
  override readonly name = 'StaleTokenError'
  readonly resource: string
  readonly token: FencingToken
  /** The newest token that the guard has seen, where it can tell. */
  readonly newest: FencingToken | undefined

  constructor(resource: string, token: FencingToken, newest: FencingToken | undefined, options?: ErrorOptions) {
    super(
      'HF_STALE_TOKEN',
      `The token ${token.value} of "${resource}" is stale` +
        (newest === undefined ? '' : `: the guard has seen ${newest.value}`) +
        '. Nothing was changed.',
      options,
    )
    this.resource = resource
    this.token = token
    this.newest = newest
  }
}

/** Another has changed it meanwhile. Nothing was written. */
export class ConflictError extends HoldfastError {
  override readonly name = 'ConflictError'
  /** What the caller took it to be. */
  readonly expected: string
  /** What it is. */
  readonly actual: string

  constructor(
    what: string,
    versions: { readonly expected: string; readonly actual: string; readonly winner?: string },
    options?: ErrorOptions,
  ) {
    const { expected, actual, winner } = versions
    const by = winner === undefined ? '' : `, by ${winner}`
    super('HF_CONFLICT', `Expected ${what} to be ${expected}, and it is ${actual}${by}. Nothing was written.`, options)
    this.expected = expected
    this.actual = actual
  }
}

/** The backend, lock manager or connection was closed before or during the call. */
export class ClosedError extends HoldfastError {
  override readonly name = 'ClosedError'

  /** `message` where it is something else than what `close` was called of. */
  constructor(what: string, message = `The ${what} is closed.`) {
    super('HF_CLOSED', message)
  }
}

/** The backend cannot offer this at all. */
export class UnsupportedError extends HoldfastError {
  override readonly name = 'UnsupportedError'

  constructor(message: string) {
    super('HF_UNSUPPORTED', message)
  }
}

/** A driver is missing, or is not the version that the adapter was written for. */
export class DriverError extends HoldfastError {
  override readonly name = 'DriverError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_DRIVER', message, options)
  }
}

/** A promise that Holdfast makes to itself was broken: a defect, never caught and retried. */
export class InvariantError extends HoldfastError {
  override readonly name = 'InvariantError'

  constructor(message: string) {
    super('HF_INVARIANT', message)
  }
}

/** Ends a `switch` over a closed union. */
export function assertNever(value: never): never {
  throw new InvariantError(`No case for ${JSON.stringify(value)}.`)
}
