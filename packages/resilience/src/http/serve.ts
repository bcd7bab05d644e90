import type { IncomingMessage, ServerResponse } from 'node:http'
import { reportListenerError } from '@holdfast/core'
import type { CallContext, CallOptions } from '../call.ts'
import type { Policy } from '../policy.ts'
import { answerOf, setContext } from './options.ts'
import type { HttpAnswer } from './rejection-response.ts'
import { rejectionResponse } from './rejection-response.ts'
import { onResponseClose } from './response-close.ts'

/** A request on its way through a policy, and how its framework is told. */
export interface Served {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly isFailure: (status: number) => boolean
  /** Lets the handler have it. What it throws or rejects with is the end of the call. */
  begin(): unknown
  /** Answers instead of the handler; `isLate` when that has begun, and may still write. */
  answer(answer: HttpAnswer, isLate: boolean): void
  /** An error that is not ours. */
  fail(error: unknown): void
}

/** What the policies inside hear of an answer that counts as a failure: it was sent, so nobody else does. */
class FailedAnswer extends Error {
  override readonly name = 'FailedAnswer'
  readonly status: number

  constructor(status: number) {
    super(`The handler answered with status ${status}.`)
    this.status = status
  }
}

/** Decides at once, and lasts until the response is finished or its client is gone, which is an abort by the caller. */
export function serve(policy: Policy<unknown>, options: CallOptions, served: Served): void {
  const { request, response } = served
  const gone = new AbortController()
  const noted = (): void => {
    // A response that its own handler destroyed with an error is a failure.
    const isFailed = (response.errored ?? undefined) !== undefined
    if (!response.writableFinished && !isFailed) gone.abort(new Error('The client closed the connection.'))
  }
  onResponseClose(request, response, noted)
  let run: Promise<void> | undefined
  const work = (context: CallContext): Promise<void> => {
    // A policy that repeats the work has nothing to repeat: the answer was sent.
    if (run === undefined) {
      setContext(request, context)
      run = answered(served)
    }
    return run
  }
  const ended = policy.execute(work, { ...options, signal: gone.signal }).then(
    value => {
      if (run === undefined) answerInstead(served, value)
    },
    (error: unknown) => {
      if (!gone.signal.aborted && !(error instanceof FailedAnswer)) end(served, error, run !== undefined)
    },
  )
  // What a policy answers may be what no response takes.
  ended.catch((error: unknown) => served.fail(error))
}

/** Settles with the response: rejects where it failed, or was not finished. */
function answered(served: Served): Promise<void> {
  const { request, response, isFailure } = served
  return new Promise((resolve, reject) => {
    onResponseClose(request, response, () => {
      if (!response.writableFinished) reject(response.errored ?? new Error('The response was not finished.'))
      else if (isFailure(response.statusCode)) reject(withoutStack(() => new FailedAnswer(response.statusCode)))
      else resolve()
    })
    // What the handler throws at once rejects here as well.
    Promise.resolve(served.begin()).catch(reject)
  })
}

function end(served: Served, error: unknown, isBegun: boolean): void {
  const { response } = served
  const answer = rejectionResponse(error)
  if (answer === undefined)
    served.fail(isSaying(error) ? error : new Error('It failed without a word.', { cause: error }))
  else if (response.headersSent) response.destroy()
  else served.answer(answer, isBegun)
}

// To `next` of Express what says nothing is no error: it would go on.
function isSaying(error: unknown): boolean {
  return Boolean(error)
}

function answerInstead(served: Served, value: unknown): void {
  const answer = answerOf(value)
  if (answer !== undefined) return served.answer(answer, false)
  served.fail(new TypeError('Expected what a policy answers in place of the handler to be { status, headers, body }.'))
}

function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = make()
  Error.stackTraceLimit = limit
  return error
}

/** Reports an error that nobody else hears. */
export function reportUnheard(error: unknown): void {
  reportListenerError('resilience.protect', error)
}
