import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProtectOptions } from './options.ts'
import { callOptionsOf, checkProtectOptions, isAnswer, isServerError } from './options.ts'
import type { HandlerPolicy } from './protect.ts'
import { checkPolicy } from './protect.ts'
import type { HttpAnswer } from './rejection-response.ts'
import { serve } from './serve.ts'

/** What is used of a request of Fastify. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
}

/** What is used of a reply of Fastify. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse
  readonly sent: boolean
  code(status: number): unknown
  headers(headers: Record<string, string>): unknown
  send(payload: unknown): unknown
}

/**
 * A policy around all routes of a Fastify instance, as a hook: `fastify.addHook('onRequest', protectHook(policy))`. It does as `protect`
 * does; errors of routes stay with Fastify, and count by the status that it answers with.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function protectHook<Request extends FastifyRequestLike>(
  policy: HandlerPolicy,
  options: ProtectOptions<Request> = {},
): (request: Request, reply: FastifyReplyLike, done: (error?: Error) => void) => void {
  checkPolicy('protectHook', policy)
  checkProtectOptions('protectHook', options)
  const { exemptPaths = [], isFailure = isServerError } = options
  const exempt = new Set(exemptPaths)
  return (request, reply, done) => {
    if (exempt.size > 0 && exempt.has((request.raw.url ?? '').split('?', 1)[0] as string)) return done()
    const answer = ({ status, headers, body }: HttpAnswer): void => {
      if (reply.sent) return
      reply.code(status)
      reply.headers({ ...headers })
      reply.send(body)
    }
    const fail = (error: unknown): void => void (reply.sent || reply.send(error))
    try {
      const call = callOptionsOf(request, request.raw.headers, options)
      if (isAnswer(call)) return answer(call)
      serve(policy, call, { request: request.raw, response: reply.raw, isFailure, begin: () => done(), answer, fail })
    } catch (error) {
      fail(error)
    }
  }
}
