import type { CallContext } from '../call.ts'
import { discard, failedResponse, responseOf } from './failed-response.ts'
import type { ProtectOptions } from './options.ts'
import { answerOf, callOptionsOf, checkProtectOptions, isAnswer, isServerError, setContext } from './options.ts'
import type { HandlerPolicy } from './protect.ts'
import { checkPolicy } from './protect.ts'
import type { HttpAnswer } from './rejection-response.ts'
import { rejectionResponse } from './rejection-response.ts'

/**
 * Puts a policy around a handler from `Request` to `Response`. It does as `protect` does, but a call is over when the handler has
 * returned its response: a body that streams is not part of it. Errors that are not ours reject, as without it.
 *
 * @example
 * export const GET = protectFetch(policy, async request => Response.json(await load(requestContext(request))))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function protectFetch<Rest extends unknown[]>(
  policy: HandlerPolicy,
  handler: (request: Request, ...rest: Rest) => Response | PromiseLike<Response>,
  options: ProtectOptions<Request> = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  checkPolicy('protectFetch', policy)
  checkProtectOptions('protectFetch', options)
  const { exemptPaths = [], isFailure = isServerError } = options
  const exempt = new Set(exemptPaths)
  return async (request, ...rest) => {
    if (exempt.size > 0 && exempt.has(new URL(request.url).pathname)) return await handler(request, ...rest)
    const call = callOptionsOf(request, request.headers, options)
    if (isAnswer(call)) return responseFrom(call)
    let last: Response | undefined
    const work = async (context: CallContext): Promise<Response> => {
      setContext(request, context)
      if (last !== undefined) discard(last)
      const response = await handler(request, ...rest)
      if (!isFailure(response.status)) return response
      last = response
      throw failedResponse(response, request.body === null)
    }
    try {
      return answered(await policy.execute(work, { ...call, signal: request.signal }))
    } catch (error) {
      const answer = responseOf(error) ?? rejectionResponse(error)
      if (answer === undefined) throw error
      return answer instanceof Response ? answer : responseFrom(answer)
    }
  }
}

function answered(value: unknown): Response {
  if (value instanceof Response) return value
  const answer = answerOf(value)
  if (answer !== undefined) return responseFrom(answer)
  throw new TypeError(
    'Expected what a policy answers in place of the handler to be a Response or { status, headers, body }.',
  )
}

function responseFrom({ status, headers, body }: HttpAnswer): Response {
  // A response with one of these must not have a body, be it empty.
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers })
}
