import { checkBoolean, checkKeys, onAbort } from '@holdfast/core'
import type { CallContext, CallOptions } from '../call.ts'
import { checkIsThere } from '../call-options.ts'
import { checkFunction } from '../checks.ts'
import { headersOf } from '../deadline/headers.ts'
import type { Policy } from '../policy.ts'
import { holdUntilRead } from './body-abort.ts'
import { discard, failedResponse, responseOf } from './failed-response.ts'
import { checkPolicy } from './protect.ts'
import { isRepeatable } from './repeatable.ts'

/** As the global `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** What `resilientFetch` can be given. */
export interface ResilientFetchOptions {
  /** @default the global `fetch` */
  readonly fetch?: Fetch
  /** What the policies know of a call; `idempotent: true` lets any method be repeated. @default nothing but the signal */
  readonly call?: (input: string | URL | Request, init: RequestInit) => Omit<CallOptions, 'signal'>
  /** Which responses are failures for the policies. @default status 429, and 500 and more */
  readonly isFailure?: (response: Response) => boolean
  /** Whether `x-hf-deadline-ms` and `x-hf-priority` are sent. @default true */
  readonly sendHeaders?: boolean
}

const KNOWN: ReadonlySet<string> = new Set(['fetch', 'call', 'isFailure', 'sendHeaders'])

/**
 * A `fetch` with a policy. Each attempt has the signal of its call; the caller's own signal still ends a body that streams after the
 * call has settled. Responses of status 429 and from 500 on are failures inside, with `Retry-After` as `retryAfterMs`; the last of them is
 * what the caller gets, as from any `fetch`. Those that are not the last are let go of, so that none holds a connection.
 *
 * Only what may be sent twice is sent twice: methods that are idempotent by RFC 9110, requests with an `Idempotency-Key`, and those that
 * `call` says it of; never one whose body is a stream. All others fail at once with `isRetryable: false`.
 *
 * @example
 * const safeFetch = resilientFetch(pipeline(retry({ maxAttempts: 3 }), circuitBreaker(), timeout({ timeoutMs: 800 })))
 * const response = await safeFetch('http://stock/items/7')
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function resilientFetch<Alt = never>(
  policy: Policy<Alt>,
  options: ResilientFetchOptions = {},
): (input: string | URL | Request, init?: RequestInit) => Promise<Response | Alt> {
  checkPolicy('resilientFetch', policy)
  checkKeys('resilientFetch', options, KNOWN)
  for (const name of ['fetch', 'call', 'isFailure'] as const) checkFunction(name, options[name])
  checkBoolean('sendHeaders', options.sendHeaders)
  return async (input, init = {}) => {
    const signal = init.signal ?? (input instanceof Request ? input.signal : undefined)
    const told = options.call?.(input, init) ?? {}
    checkIsThere('call', told)
    const sent = new SentRequest(input, init, { ...options, isRepeatable: isRepeatable(input, init, told.idempotent) })
    const work = (context: CallContext): Promise<Response> => sent.send(context, signal)
    try {
      const value = await policy.execute(work, { ...told, idempotent: sent.isRepeatable, signal })
      sent.discardAllBut(value)
      return value
    } catch (error) {
      const response = responseOf(error)
      sent.discardAllBut(response)
      if (response !== undefined) return response
      throw error instanceof UnrepeatableError ? error.cause : error
    }
  }
}

/** An error of a request that must not be sent again. It goes no further than the policies. */
class UnrepeatableError extends Error {
  override readonly name = 'UnrepeatableError'
  readonly isRetryable = false
}

interface SendOptions extends ResilientFetchOptions {
  readonly isRepeatable: boolean
}

/** One request and what its attempts came to. */
class SentRequest {
  readonly isRepeatable: boolean
  readonly #input: string | URL | Request
  readonly #init: RequestInit
  readonly #fetch: Fetch
  readonly #isFailure: (response: Response) => boolean
  readonly #sendHeaders: boolean
  readonly #failed = new Set<Response>()
  #underWay = 0
  #refused: Promise<Response> | undefined

  constructor(input: string | URL | Request, init: RequestInit, options: SendOptions) {
    this.#input = input
    this.#init = init
    this.#fetch = options.fetch ?? globalThis.fetch
    this.#isFailure = options.isFailure ?? isFailedResponse
    this.#sendHeaders = options.sendHeaders ?? true
    this.isRepeatable = options.isRepeatable
  }

  send(context: CallContext, caller: AbortSignal | undefined): Promise<Response> {
    if (this.isRepeatable) return this.#attempt(context, caller)
    // A policy that tries again all the same hears what it heard before.
    this.#refused ??= this.#attempt(context, caller).catch((cause: unknown) => {
      throw responseOf(cause) === undefined ? new UnrepeatableError('It may have been done.', { cause }) : cause
    })
    return this.#refused
  }

  /** Lets go of the responses that failed, but for the one that its caller gets. */
  discardAllBut(kept: unknown): void {
    for (const response of this.#failed) if (response !== kept) discard(response)
    this.#failed.clear()
  }

  async #attempt(context: CallContext, caller: AbortSignal | undefined): Promise<Response> {
    // What failed before is nobody's any more, unless a hedge is under way: such a call may end as its first attempt did.
    if (this.#underWay === 0) this.discardAllBut(undefined)
    this.#underWay += 1
    try {
      return await this.#fetchOnce(context, caller)
    } finally {
      this.#underWay -= 1
    }
  }

  async #fetchOnce(context: CallContext, caller: AbortSignal | undefined): Promise<Response> {
    // Its own: the call's signal hears of its caller no longer when the call has settled, and the body may still stream.
    const controller = new AbortController()
    onAbort(context.signal, reason => controller.abort(reason))
    const fetching = this.#fetch
    const response = await fetching(this.#input, {
      ...this.#init,
      ...this.#headers(context),
      signal: controller.signal,
    })
    if (caller !== undefined) holdUntilRead(response, caller, controller)
    if (!this.#isFailure(response)) return response
    this.#failed.add(response)
    throw failedResponse(response, this.isRepeatable)
  }

  #headers(context: CallContext): { readonly headers?: Headers } {
    const own = this.#sendHeaders ? Object.entries(headersOf(context)) : []
    if (own.length === 0) return {}
    const given = this.#init.headers ?? (this.#input instanceof Request ? this.#input.headers : undefined)
    const headers = new Headers(given)
    for (const [name, value] of own) if (!headers.has(name)) headers.set(name, value)
    return { headers }
  }
}

function isFailedResponse({ status }: Response): boolean {
  return status === 429 || status >= 500
}
