import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock, UnsupportedError } from '@holdfast/core'
import type { CallContext } from '../call.ts'
import { requestContext, setContext } from '../http/options.ts'
import type { Policy } from '../policy.ts'
import type { Answer } from './http-answer.ts'
import { REPLAYED_HEADER } from './http-answer.ts'
import { bodyOf } from './http-body.ts'
import { ResponseCapture } from './http-capture.ts'
import { bodyTooLarge } from './http-problem.ts'
import type { IdempotentHttpOptions } from './http-requests.ts'
import { HttpRequests } from './http-requests.ts'

/** A middleware, with the policy that it goes by. It rejects with what the handler throws. */
export type IdempotentMiddleware<Request extends IncomingMessage> = ((
  request: Request,
  response: ServerResponse,
  next: () => unknown,
) => Promise<void>) & { readonly policy: Policy }

/**
 * A middleware for `node:http`, Express and Fastify (as `onRequest` hook, with the raw request and response): a request that carries an
 * `Idempotency-Key` is processed once, and who comes again has the same response, byte for byte, marked with `Idempotency-Replayed: true`.
 * What goes wrong is a problem (RFC 9457): 400 for a key that is missing or malformed, 409 while it is at work, 422 for another request
 * with the same key, 503 when the store cannot be reached.
 *
 * The response goes out once it is kept, with what the handler itself wrote; headers that were set before are of each request. A body of
 * more than 240 KiB goes out as it comes, and is not kept: who comes again is told so, with a 409. Put it behind what authenticates, and
 * before what compresses. A client that goes away does not end the handler.
 *
 * A handler finds its fence by `requestContext(request)`.
 *
 * @example
 * app.post('/charges', idempotencyMiddleware({ backend, tenant: request => request.user.id }), charge)
 * createServer((request, response) => once(request, response, () => handle(request, response)))
 * fastify.addHook('onRequest', (request, reply, done) => void once(request.raw, reply.raw, done))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function idempotencyMiddleware<Request extends IncomingMessage = IncomingMessage>(
  options: IdempotentHttpOptions<Request>,
): IdempotentMiddleware<Request> {
  const requests = new HttpRequests(options)
  const clock = options.clock ?? systemClock
  const serve = async (request: Request, response: ServerResponse, next: () => unknown): Promise<void> => {
    // Those of HTTP/2 have no such thing, whatever their type says.
    if ((request.headersDistinct as unknown) === undefined) {
      throw new UnsupportedError('idempotencyMiddleware takes requests of HTTP/1 only.')
    }
    const method = request.method ?? 'GET'
    const key = requests.keyOf(method, request.headersDistinct['idempotency-key'])
    if (key === undefined) return void (await next())
    if (typeof key !== 'string') return write(response, key)
    let capture: ResponseCapture | undefined
    try {
      const body = await bodyOf(request, requests.bodyBytesMax)
      if (body === undefined) return write(response, bodyTooLarge(requests.bodyBytesMax))
      const facts = {
        method,
        target: targetOf(request),
        tenant: requests.tenantOf(request),
        body,
        signal: requestContext(request)?.signal,
      }
      const handle = (context: CallContext): Promise<Answer> => {
        setContext(request, context)
        capture = new ResponseCapture(response, { clock, keepsCookies: requests.keepCookies })
        return handled(capture, next)
      }
      const answer = await requests.answer(key, facts, handle)
      const own = capture as ResponseCapture | undefined
      if (own?.wrote(answer) === true) return own.send()
      own?.drop()
      if (!response.headersSent) write(response, answer)
    } catch (error) {
      // Nothing was begun, and nobody is there to be told.
      if (capture === undefined && response.closed) return
      throw error
    }
  }
  return Object.assign(serve, { policy: requests.policy })
}

async function handled(capture: ResponseCapture, next: () => unknown): Promise<Answer> {
  try {
    // A handler that says when it is done can be waited for; what Express calls says nothing.
    const returned = next()
    if (isThenable(returned)) {
      Promise.resolve(returned).then(
        () => capture.returned(),
        (error: unknown) => capture.fail(error),
      )
    }
  } catch (error) {
    capture.fail(error)
  }
  return await capture.answer
}

/** Of Express, which cuts the path of a router off `url`. */
function targetOf(request: IncomingMessage & { readonly originalUrl?: unknown }): string {
  return typeof request.originalUrl === 'string' ? request.originalUrl : (request.url ?? '/')
}

function write(response: ServerResponse, { status, headers, body, isReplayed }: Answer): void {
  response.statusCode = status
  const names = new Set<string>()
  for (const [name, value] of headers) {
    if (names.has(name)) response.appendHeader(name, value)
    else response.setHeader(name, value)
    names.add(name)
  }
  if (isReplayed) response.setHeader(REPLAYED_HEADER, 'true')
  response.end(body)
}

function isThenable(value: unknown): boolean {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'
}
