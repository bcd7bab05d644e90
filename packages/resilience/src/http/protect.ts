import type { IncomingMessage, ServerResponse } from 'node:http'
import { InvalidArgumentError, show } from '@holdfast/core'
import type { Policy } from '../policy.ts'
import type { ProtectOptions } from './options.ts'
import { callOptionsOf, checkProtectOptions, isAnswer, isServerError } from './options.ts'
import type { HttpAnswer } from './rejection-response.ts'
import { problemAnswer } from './rejection-response.ts'
import { reportUnheard, serve } from './serve.ts'
import { dropLateWrites, writeAnswer } from './write-answer.ts'

/** As Express and connect have it. */
export type NextFunction = (error?: unknown) => void

/** A handler of `node:http`, or one of Express with `next`. */
export type HttpHandler<Request, Response> = (request: Request, response: Response, next: NextFunction) => unknown

/** What `protect` makes: a listener of `node:http`, and a handler or a middleware of Express. */
export type ProtectedHandler<Request, Response> = (request: Request, response: Response, next?: NextFunction) => void

/** A policy that is put around handlers. What it answers in place of one (a `fallback`) is `{ status, headers, body }`. */
export type HandlerPolicy = Policy<unknown>

/**
 * Puts a policy around a handler of `node:http` or Express, or, without a handler, makes a middleware: `app.use(protect(policy))`.
 *
 * The policy decides in the first callback. A refusal is answered as `rejectionResponse` says. The call lasts until the response is
 * finished, or its client is gone, which counts as an abort by the caller; an answer of status 500 or more is a failure. The handler finds
 * its call by `requestContext(request)`. Where a timeout ends the call, 504 is sent and what the handler writes after that is dropped;
 * when it had begun to write, the connection is closed.
 *
 * Other errors go to `next`; without one the answer is 500, and the error is on the channel `holdfast:listener.error`.
 *
 * No `retry`, `hedge`, `cache` or `coalesce` in such a policy: a request is answered once, by its own handler.
 *
 * @example
 * createServer(protect(pipeline(shed(), timeout({ timeoutMs: 2_000 })), handler)).listen(8080)
 * app.use(protect(rateLimit({ limit: 100, periodMs: 60_000 }), { key: request => request.ip }))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function protect<Request extends IncomingMessage, Response extends ServerResponse = ServerResponse>(
  policy: HandlerPolicy,
  handler: HttpHandler<Request, Response>,
  options?: ProtectOptions<Request>,
): ProtectedHandler<Request, Response>
export function protect<Request extends IncomingMessage, Response extends ServerResponse = ServerResponse>(
  policy: HandlerPolicy,
  options?: ProtectOptions<Request>,
): (request: Request, response: Response, next: NextFunction) => void
export function protect<Request extends IncomingMessage, Response extends ServerResponse = ServerResponse>(
  policy: HandlerPolicy,
  handlerOrOptions: HttpHandler<Request, Response> | ProtectOptions<Request> = {},
  handlerOptions: ProtectOptions<Request> = {},
): ProtectedHandler<Request, Response> {
  checkPolicy('protect', policy)
  const isMiddleware = typeof handlerOrOptions !== 'function'
  const handler = isMiddleware ? passOn : handlerOrOptions
  const options = isMiddleware ? handlerOrOptions : handlerOptions
  checkProtectOptions('protect', options)
  const { exemptPaths = [], isFailure = isServerError } = options
  const exempt = new Set(exemptPaths)
  return (request, response, next) => {
    const begin = (): unknown => handler(request, response, next ?? failedWithoutNext(request, response))
    if (exempt.size > 0 && exempt.has(pathOf(request))) return void begin()
    const fail = next ?? failedWithoutNext(request, response)
    const served = { request, response, isFailure, begin, fail, answer: answering(request, response) }
    try {
      const call = callOptionsOf(request, request.headers, options)
      if (isAnswer(call)) writeAnswer(request, response, call)
      else serve(policy, call, served)
    } catch (error) {
      fail(error)
    }
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkPolicy(where: string, policy: unknown): void {
  if (typeof (policy as Partial<Policy> | null | undefined)?.execute === 'function') return
  throw new InvalidArgumentError(
    'policy',
    `Expected the first argument of ${where} to be a policy, got ${show(policy)}.`,
  )
}

function passOn(_request: unknown, _response: unknown, next: NextFunction): void {
  next()
}

// Express cuts the path that a router is mounted at off `url`.
function pathOf(request: IncomingMessage): string {
  const { originalUrl = request.url ?? '' } = request as { readonly originalUrl?: string }
  return originalUrl.split('?', 1)[0] as string
}

function answering(request: IncomingMessage, response: ServerResponse): (answer: HttpAnswer, isLate: boolean) => void {
  return (answer, isLate) => {
    writeAnswer(request, response, answer)
    if (isLate) dropLateWrites(response)
  }
}

function failedWithoutNext(request: IncomingMessage, response: ServerResponse): NextFunction {
  return error => {
    if (error === undefined) return
    reportUnheard(error)
    if (response.headersSent) response.destroy()
    else writeAnswer(request, response, problemAnswer({ status: 500, kind: 'failed', detail: 'It failed.' }))
  }
}
