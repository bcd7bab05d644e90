import { checkName } from '@holdfast/core'
import type { CallContext, CallOptions, Priority } from '../call.ts'
import { checkFunction } from '../checks.ts'
import { callOptionsFromHeaders } from '../deadline/headers.ts'
import { checkBoolean, checkKeys, InvalidArgumentError, show } from '@holdfast/core'
import type { HttpAnswer } from './rejection-response.ts'
import { problemAnswer } from './rejection-response.ts'

/** What `protect` and its kin can be given. */
export interface ProtectOptions<Request> {
  /** Whom or what keyed policies count: one name of 1 to 200 bytes, or the request is answered with 400. @default none */
  readonly key?: (request: Request) => string | readonly string[] | undefined
  /** @default 'normal', or what the headers say with `trustHeaders` */
  readonly priority?: (request: Request) => Priority | undefined
  /** What rate limits count the request for. @default 1 */
  readonly cost?: (request: Request) => number | undefined
  /** Whether `x-hf-deadline-ms`, `grpc-timeout` and `x-hf-priority` count. Only where all clients are your own. @default false */
  readonly trustHeaders?: boolean
  /** Paths that no policy is asked about: health checks. Whole paths, without the query. @default none */
  readonly exemptPaths?: readonly string[]
  /** Which answers of the handler are failures for the policies. @default status 500 and more */
  readonly isFailure?: (status: number) => boolean
}

const KNOWN: ReadonlySet<string> = new Set(['key', 'priority', 'cost', 'trustHeaders', 'exemptPaths', 'isFailure'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkProtectOptions<Request>(where: string, options: ProtectOptions<Request>, ...more: string[]): void {
  checkKeys(where, options, new Set([...KNOWN, ...more]))
  for (const name of ['key', 'priority', 'cost', 'isFailure'] as const) checkFunction(name, options[name])
  checkBoolean('trustHeaders', options.trustHeaders)
  const paths: unknown = options.exemptPaths
  if (paths === undefined || (Array.isArray(paths) && paths.every(path => typeof path === 'string'))) return
  throw new InvalidArgumentError(
    'exemptPaths',
    `Expected \`exemptPaths\` to be an array of strings, got ${show(paths)}.`,
  )
}

export function isServerError(status: number): boolean {
  return status >= 500
}

/** What a request says of its call; an answer where its key cannot be one. */
export function callOptionsOf<Request>(
  request: Request,
  headers: Parameters<typeof callOptionsFromHeaders>[0],
  { key, priority, cost, trustHeaders = false }: ProtectOptions<Request>,
): CallOptions | HttpAnswer {
  const told = trustHeaders ? callOptionsFromHeaders(headers) : {}
  const keyed = oneOf(key?.(request))
  if (keyed !== undefined && !isName(keyed)) {
    return problemAnswer({
      status: 400,
      kind: 'invalid-key',
      detail: 'The key of the request is empty, too long or unreadable.',
    })
  }
  return { ...told, priority: priority?.(request) ?? told.priority, cost: cost?.(request), key: keyed }
}

export function isAnswer(given: CallOptions | HttpAnswer): given is HttpAnswer {
  return 'status' in given
}

// A header that came once, from where headers may come more often.
function oneOf(key: string | readonly string[] | undefined): unknown {
  return Array.isArray(key) && key.length === 1 ? key[0] : key
}

function isName(key: unknown): key is string {
  try {
    checkName('key', key)
    return true
  } catch {
    return false
  }
}

/** What a policy inside answered instead of the handler, if it is of that shape: `{ status, headers?, body? }`. */
export function answerOf(value: unknown): HttpAnswer | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { status, headers = {}, body = '' } = value as Partial<HttpAnswer>
  return typeof status === 'number' ? { status, headers, body: String(body) } : undefined
}

// On the request itself: a weak map costs the garbage collector several times what a request costs us otherwise.
const CONTEXT = Symbol.for('holdfast.resilience.context')

interface Contextual {
  [CONTEXT]?: CallContext
}

export function setContext(request: object, context: CallContext): void {
  ;(request as Contextual)[CONTEXT] = context
}

/**
 * The call that a protected request is: its signal, the time left, its priority. Handlers pass it on to what they call. For Fastify
 * the request is `request.raw`.
 *
 * @returns undefined for a request that no policy was asked about.
 */
export function requestContext(request: object): CallContext | undefined {
  return (request as Contextual)[CONTEXT]
}
