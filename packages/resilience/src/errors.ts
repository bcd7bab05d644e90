import { HoldfastError } from '@holdfast/core'

/**
 * Why a call was refused.
 *
 * - `rate-limited`: its caller asks for more than its quota (HTTP 429).
 * - `circuit-open`, `circuit-half-open`, `circuit-isolated`: a breaker keeps calls off what is behind it (503).
 * - `queue-full`, `queue-timeout`: a bulkhead has no slot, and no room or time to wait for one (503).
 * - `concurrency-limit`: an adaptive limit is reached (503).
 * - `shed`: this process is overloaded, and the call's priority is below what it still serves (503).
 * - `throttled`: the one that is called refuses most calls, so they are not sent at all (503).
 * - `deadline`: there is no time left to do it in (504).
 * - `store-unavailable`: the store that decides did not answer in time, and the rule says `closed` (503, never 429).
 * - `degraded`: the call is switched off at the present level of degradation (503).
 */
export type RejectionReason =
  | 'rate-limited'
  | 'circuit-open'
  | 'circuit-half-open'
  | 'circuit-isolated'
  | 'queue-full'
  | 'queue-timeout'
  | 'concurrency-limit'
  | 'shed'
  | 'throttled'
  | 'deadline'
  | 'store-unavailable'
  | 'degraded'

/** What every refusal says, whatever policy it comes from. */
export interface Rejection {
  /** The kind of the policy: `rateLimit`, `circuitBreaker`, … */
  readonly policy: string
  /** The name that its user gave the policy; the kind where he gave none. */
  readonly rule: string
  /** Grows with every accepted change of the rule, from 1. */
  readonly ruleVersion: number
  readonly reason: RejectionReason
  /** When to try again, in milliseconds from now; undefined where nobody knows. */
  readonly retryAfterMs?: number | undefined
  /** The limit that was reached: calls in flight, or calls for each period. */
  readonly limit?: number | undefined
  /** Of a rate limit: the period of `limit`, in milliseconds. */
  readonly periodMs?: number | undefined
  /** Calls in flight when it was refused. */
  readonly inFlight?: number | undefined
  /** Of shedding and degradation: the level up to which calls are served. */
  readonly level?: number | undefined
  /** Of keyed limits: the key that reached its limit. */
  readonly key?: string | undefined
}

/** What a reason says, as the end of a sentence. */
export const REASON_TEXT: Readonly<Record<RejectionReason, string>> = {
  'rate-limited': 'its quota is used up',
  'circuit-open': 'the circuit is open',
  'circuit-half-open': 'the circuit is half-open, and its trial calls are under way',
  'circuit-isolated': 'the circuit was isolated by hand',
  'queue-full': 'all slots and the queue are full',
  'queue-timeout': 'no slot came free in time',
  'concurrency-limit': 'as many calls are in flight as are served well',
  shed: 'the process is overloaded, and the priority of the call is too low',
  throttled: 'what it calls refuses most calls',
  deadline: 'its deadline has passed',
  'store-unavailable': 'the store that decides did not answer in time',
  degraded: 'it is switched off at the present level of degradation',
}

/**
 * A policy refused the call: the work was not begun. It has no stack, for a refusal has to be cheap when there are many.
 */
export class RejectedError extends HoldfastError {
  override readonly name = 'RejectedError'
  readonly rejection: Rejection

  constructor(rejection: Rejection) {
    super('HF_REJECTED', `Refused by ${rejection.policy} "${rejection.rule}": ${REASON_TEXT[rejection.reason]}.`)
    this.rejection = rejection
  }
}

/** A `RejectedError` without a stack: capturing one costs several times what the refusal does. */
export function rejected(rejection: Rejection): RejectedError {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = new RejectedError(rejection)
  Error.stackTraceLimit = limit
  return error
}

/** A timeout ended the call. The work was told to stop by its signal, and may or may not have been done. */
export class TimeoutError extends HoldfastError {
  override readonly name = 'TimeoutError'
  readonly timeoutMs: number

  constructor(timeoutMs: number, rule: string) {
    super('HF_TIMEOUT', `Timed out after ${timeoutMs} ms (timeout "${rule}").`)
    this.timeoutMs = timeoutMs
  }
}

/** A `TimeoutError` without a stack: it would only show a timer. */
export function timedOut(timeoutMs: number, rule: string): TimeoutError {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = new TimeoutError(timeoutMs, rule)
  Error.stackTraceLimit = limit
  return error
}

/** The same idempotency key is at work just now. Its result can be had in `retryAfterMs` or later. */
export class InFlightError extends HoldfastError {
  override readonly name = 'InFlightError'
  readonly key: string
  readonly retryAfterMs: number

  constructor(key: string, retryAfterMs: number) {
    super('HF_IN_FLIGHT', `The call with the idempotency key "${key}" is still under way.`)
    this.key = key
    this.retryAfterMs = retryAfterMs
  }
}

/** The idempotency key was used before, for another request. Nothing was done. */
export class KeyReusedError extends HoldfastError {
  override readonly name = 'KeyReusedError'
  readonly key: string

  constructor(key: string) {
    super('HF_KEY_REUSED', `The idempotency key "${key}" was used before for another request. Nothing was done.`)
    this.key = key
  }
}

/** The code of a Holdfast error, told by the code itself: there may be two copies of a package in one process. */
export function codeOf(error: unknown): unknown {
  return fieldOf(error, 'code')
}

/** Whether an error is the refusal of a policy, ours or cockatiel's: the work was not begun. */
export function isRejection(error: unknown): error is Error & { readonly rejection?: Rejection } {
  if (codeOf(error) === 'HF_REJECTED') return true
  return REFUSALS_OF_COCKATIEL.some(mark => fieldOf(error, mark) !== undefined)
}

/** Whether an error says that a timeout ended the call, ours or cockatiel's. */
export function isTimeout(error: unknown): error is Error & { readonly timeoutMs?: number } {
  return codeOf(error) === 'HF_TIMEOUT' || fieldOf(error, 'isTaskCancelledError') === true
}

const REFUSALS_OF_COCKATIEL = ['isBrokenCircuitError', 'isBulkheadRejectedError', 'isIsolatedCircuitError'] as const

// What work throws may be anything: a proxy, or an object with a getter, that throws. Whoever asks holds permits, and has to go on.
function fieldOf(error: unknown, name: string): unknown {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    return (error as Readonly<Record<string, unknown>>)[name]
  } catch {
    return undefined
  }
}
