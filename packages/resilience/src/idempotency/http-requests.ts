import { InvalidArgumentError, checkBoolean, checkGivenKeys, show } from '@holdfast/core'
import type { CallContext } from '../call.ts'
import { checkFunction, checkInteger } from '../checks.ts'
import type { Policy } from '../policy.ts'
import { digestOf } from './fingerprint.ts'
import type { Answer } from './http-answer.ts'
import { decodeAnswer, encodeAnswer } from './http-answer.ts'
import { headerKeyOf } from './http-key.ts'
import { badKey, bodyNotKept, problemOf } from './http-problem.ts'
import { idempotent } from './idempotent.ts'
import type { IdempotentOptions } from './options.ts'

/** What idempotency of HTTP requests can be given, whatever serves them. */
export interface IdempotentHttpOptions<Request> extends Omit<
  IdempotentOptions,
  'scope' | 'encode' | 'decode' | 'keepFailure'
> {
  /** Services with one scope share their keys. Below it each method and path has keys of its own. @default 'http' */
  readonly scope?: string
  /** Requests with other methods pass: they are idempotent by themselves. Upper case. @default ['POST', 'PATCH'] */
  readonly methods?: readonly string[]
  /** Whose keys they are: a user, an account. Without it a client that guesses a key of another has its response. */
  readonly tenant?: (request: Request) => string | undefined
  /**
   * Which responses are kept and replayed; any other gives the key back. A 500 is kept: nobody knows how far the handler came.
   *
   * @default all but 401, 403, 407, 408, 425, 429 and 503, which say that nothing was done, and that the request may come again
   */
  readonly keepStatus?: (status: number) => boolean
  /** Whether `Set-Cookie` is kept and replayed. @default false */
  readonly keepCookies?: boolean
  /** The largest body of a request, in bytes, 0 to 104,857,600: it is read before the handler is called. @default 1_048_576 */
  readonly bodyBytesMax?: number
}

/** What has to be known of a request, wherever it comes from. */
export interface HttpRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly tenant: string | undefined
  readonly body: Uint8Array
  /** That of the call around it, if it is a part of one. */
  readonly signal: AbortSignal | undefined
}

const NOTHING_DONE: ReadonlySet<number> = new Set([401, 403, 407, 408, 425, 429, 503])

/** Those that are no options of `idempotent`. */
const DEFAULTS = Object.freeze({
  methods: Object.freeze(['POST', 'PATCH']) as readonly string[],
  keepStatus: (status: number): boolean => !NOTHING_DONE.has(status),
  keepCookies: false,
  bodyBytesMax: 1_048_576,
})
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(DEFAULTS),
  ...['tenant', 'name', 'mode', 'backend', 'store', 'scope', 'required', 'leaseMs', 'keepMs', 'onLost', 'whenInFlight'],
  ...['waitMs', 'whenUnavailable', 'clock', 'random'],
])

/** The handler answered with something that is not to be kept: the key is given back, and the answer goes out. */
class NotKept extends Error {
  readonly answer: Answer

  constructor(answer: Answer) {
    super(`The status ${answer.status} is not kept.`)
    this.answer = answer
  }
}

/** The handler failed: its error is its caller's, and no answer of this policy. */
class HandlerError extends Error {
  constructor(cause: unknown) {
    super('The handler failed.', { cause })
  }
}

/** Requests with keys: what is the same for all servers. */
export class HttpRequests<Request> {
  readonly policy: Policy
  readonly bodyBytesMax: number
  readonly keepCookies: boolean
  readonly tenantOf: (request: Request) => string | undefined
  readonly #methods: ReadonlySet<string>
  readonly #isRequired: boolean
  readonly #keepStatus: (status: number) => boolean

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
  constructor(options: IdempotentHttpOptions<Request>) {
    checkGivenKeys('idempotency of HTTP', options, KNOWN)
    const { methods, keepStatus, keepCookies, bodyBytesMax, tenant, ...rest } = options
    this.#methods = new Set(checkedMethods(methods ?? DEFAULTS.methods))
    checkFunction('keepStatus', keepStatus)
    checkFunction('tenant', tenant)
    checkBoolean('keepCookies', keepCookies)
    this.#keepStatus = keepStatus ?? DEFAULTS.keepStatus
    this.keepCookies = keepCookies ?? DEFAULTS.keepCookies
    this.bodyBytesMax = bodyBytesMax ?? DEFAULTS.bodyBytesMax
    checkInteger('bodyBytesMax', this.bodyBytesMax, { min: 0, max: 104_857_600 })
    this.tenantOf = tenant ?? (() => undefined)
    const policy = { name: 'idempotency', scope: 'http', ...rest, encode: encodeAnswer, decode: decodeAnswer }
    this.policy = idempotent(policy)
    this.#isRequired = rest.required === 'always'
  }

  /** The key of a request: an answer where it is not to be served, undefined where it simply passes. */
  keyOf(method: string, header: string | readonly string[] | null | undefined): string | Answer | undefined {
    if (!this.#methods.has(method)) return undefined
    const read = headerKeyOf(header)
    switch (read.kind) {
      case 'key':
        return read.key
      case 'malformed':
        return badKey(read.why)
      case 'missing':
        return this.#isRequired ? badKey('The request has to have the header Idempotency-Key.') : undefined
    }
  }

  /**
   * The answer to a request with a key: that of `handle`, or the one that was kept, or a problem.
   *
   * @throws what `handle` throws as `HandlerError`, its cause.
   */
  async answer(
    key: string,
    { method, target, tenant, body, signal }: HttpRequest,
    handle: (context: CallContext) => Promise<Answer>,
  ): Promise<Answer> {
    checkTenant(tenant)
    const [path = ''] = target.split('?', 1)
    const options = {
      idempotencyKey: digestOf(JSON.stringify([tenant ?? null, method, path, key])),
      fingerprint: { method, target, body: digestOf(body) },
      signal,
    }
    try {
      const answer = await this.policy.execute(context => this.#handled(handle(context)), options)
      return answer.isReplayed && answer.body === undefined ? bodyNotKept(answer.status) : answer
    } catch (error) {
      if (error instanceof NotKept) return error.answer
      if (error instanceof HandlerError) throw error.cause
      const problem = problemOf(error)
      if (problem === undefined) throw error
      return problem
    }
  }

  async #handled(handling: Promise<Answer>): Promise<Answer> {
    const answer = await handling.catch((error: unknown) => {
      throw new HandlerError(error)
    })
    if (this.#keepStatus(answer.status)) return answer
    throw new NotKept(answer)
  }
}

// A promise, say, looks the same for all: their keys would be one another's.
function checkTenant(tenant: unknown): void {
  if (tenant === undefined || typeof tenant === 'string') return
  throw new InvalidArgumentError(
    'tenant',
    `Expected \`tenant\` to return a string or undefined, at once, got ${show(tenant)}.`,
  )
}

function checkedMethods(methods: unknown): readonly string[] {
  if (Array.isArray(methods) && methods.length > 0 && methods.every(isMethod)) return methods as readonly string[]
  throw new InvalidArgumentError(
    'methods',
    `Expected \`methods\` to be an array like ['POST'], in upper case, got ${show(methods)}.`,
  )
}

function isMethod(method: unknown): boolean {
  return typeof method === 'string' && /^[A-Z]+$/.test(method)
}
