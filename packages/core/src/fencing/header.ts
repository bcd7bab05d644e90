import type { IncomingMessage, ServerResponse } from 'node:http'
import { InvalidArgumentError, StaleTokenError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import { checkBoolean, checkGivenKeys } from '../options.ts'
import type { Fenced, Guard } from './guard.ts'
import { checkGuard, tokenOf } from './guard.ts'
import { reportListenerError } from '../telemetry.ts'
import { tellRefused } from './refusal.ts'
import { FencingToken } from './token.ts'

/** The header that carries a token over HTTP, as 20 digits. */
export const FENCING_HEADER = 'fencing-token'

/** How a service checks the tokens of its callers. */
export interface FencingHeaderOptions<Request> {
  /** The guard of what the service protects. */
  readonly fence: Guard
  /** What the token is of: the name of the lock, or how a request says it. */
  readonly resource: string | ((request: Request) => string)
  /** Whether a request without a token is refused (428); else it goes on unchecked. @default true */
  readonly isRequired?: boolean
}

/** A middleware for `node:http` and Express; rejects with what `next` throws, and with nothing else. */
export type FencingMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: () => unknown,
) => Promise<void>

/** A handler of requests as Fetch has them. */
export type FetchHandler = (request: Request) => Response | Promise<Response>

const KNOWN: ReadonlySet<string> = new Set(['fence', 'resource', 'isRequired'])

/**
 * The headers of a request that is made under a lease: spread them into those of `fetch`.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {LeaseLostError} `HF_LEASE_LOST` when it is a lease that was lost
 */
export function fencingHeaders(fenced: Pick<Fenced, 'token'>): Readonly<Record<string, string>> {
  return { [FENCING_HEADER]: tokenOf(fenced).toString() }
}

/**
 * A middleware that lets a request through only if its token is not stale: the guard is raised to it first, so from then on whoever has
 * an older one is refused. What goes wrong is a problem (RFC 9457): 412 with the code `HF_STALE_TOKEN` for a stale token, 428 (RFC 6585)
 * for none, 400 for what is no token or names no resource, 503 when the guard cannot say; then `holdfast:listener.error` tells why.
 *
 * It tells callers apart, not their writes: between the check and your write a newer holder may come. Where the data have a guard of
 * their own (`redisFence`, `postgresFence`, …) write through that as well.
 *
 * ```ts
 * app.put('/stock/:id', fencingHeader({ fence, resource: request => `stock:${request.params.id}` }), update)
 * await fetch(url, { method: 'PUT', headers: fencingHeaders(lease) })
 * ```
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function fencingHeader(options: FencingHeaderOptions<IncomingMessage>): FencingMiddleware {
  checkOptions('fencingHeader', options)
  return async (request, response, next) => {
    const problem = await check(options, request, request.headers[FENCING_HEADER])
    if (problem === undefined) return void (await next())
    response.writeHead(problem.status, { 'content-type': 'application/problem+json' })
    response.end(JSON.stringify(problem))
  }
}

/**
 * The same around a handler of requests as Fetch has them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function fencedHandler(options: FencingHeaderOptions<Request>, handler: FetchHandler): FetchHandler {
  checkOptions('fencedHandler', options)
  return async request => {
    const problem = await check(options, request, request.headers.get(FENCING_HEADER) ?? undefined)
    if (problem === undefined) return await handler(request)
    const headers = { 'content-type': 'application/problem+json' }
    return new Response(JSON.stringify(problem), { status: problem.status, headers })
  }
}

interface Problem {
  readonly status: 400 | 412 | 428 | 503
  readonly title: string
  readonly detail: string
  readonly code?: string
}

async function check<Request>(
  { fence, resource: of, isRequired = true }: FencingHeaderOptions<Request>,
  request: Request,
  text: string | readonly string[] | undefined,
): Promise<Problem | undefined> {
  if (text === undefined) return isRequired ? MISSING : undefined
  const token = tokenIn(text)
  if (token === undefined) {
    return {
      status: 400,
      title: 'Malformed token',
      detail: `Expected ${FENCING_HEADER} to be one token, got ${show(text)}.`,
    }
  }
  try {
    const resource = typeof of === 'function' ? of(request) : of
    checkName('resource', resource)
    await fence.raise({ resource, token })
    return undefined
  } catch (error) {
    return problemOf(error)
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof StaleTokenError) {
    const { resource, token, newest } = error
    tellRefused({ guard: 'http', resource, token, newest })
    return { status: 412, title: 'Stale token', detail: error.message, code: error.code }
  }
  if (error instanceof InvalidArgumentError) {
    return { status: 400, title: 'No such resource', detail: error.message, code: error.code }
  }
  // What a driver says is not for those who call.
  reportListenerError('fencingHeader', error)
  return { status: 503, title: 'Not checked', detail: 'The token could not be checked.' }
}

const MISSING: Problem = Object.freeze({
  status: 428,
  title: 'Precondition required',
  detail: `This needs a lease: send its token as ${FENCING_HEADER}.`,
})

function tokenIn(text: string | readonly string[]): FencingToken | undefined {
  try {
    return FencingToken.parse(text as string)
  } catch {
    return undefined
  }
}

function checkOptions(of: string, options: FencingHeaderOptions<never>): void {
  checkGivenKeys(of, options, KNOWN)
  checkGuard('fence', options.fence)
  if (typeof options.resource !== 'function') checkName('resource', options.resource)
  checkBoolean('isRequired', options.isRequired)
}
