import type { CallContext } from '../call.ts'
import { requestContext, setContext } from '../http/options.ts'
import type { Policy } from '../policy.ts'
import type { Answer } from './http-answer.ts'
import { BODY_BYTES_MAX, REPLAYED_HEADER, keptHeaders } from './http-answer.ts'
import { bodyTooLarge } from './http-problem.ts'
import type { IdempotentHttpOptions } from './http-requests.ts'
import { HttpRequests } from './http-requests.ts'

/** Serves requests as the Fetch standard has them: of Hono, Bun, Deno, workers, Next.js. */
export type FetchHandler<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

/** An idempotent handler, with the policy that it goes by. */
export type IdempotentFetchHandler<Rest extends readonly unknown[]> = ((
  request: Request,
  ...rest: Rest
) => Promise<Response>) & { readonly policy: Policy }

/**
 * The handler, with requests that carry an `Idempotency-Key` processed once: who comes again has the same response, marked with
 * `Idempotency-Replayed: true`. What goes wrong is a problem (RFC 9457): 400 for a key that is missing or malformed, 409 while it is at work,
 * 422 for another request with the same key, 503 when the store cannot be reached.
 *
 * The response goes out once it is stored. A body of more than 240 KiB is not kept: who comes again is told so, with a 409.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function idempotentFetchHandler<Rest extends readonly unknown[] = []>(
  handler: FetchHandler<Rest>,
  options: IdempotentHttpOptions<Request>,
): IdempotentFetchHandler<Rest> {
  const requests = new HttpRequests(options)
  const serve = async (request: Request, ...rest: Rest): Promise<Response> => {
    const { method } = request
    const key = requests.keyOf(method, request.headers.get('idempotency-key'))
    if (key === undefined) return await handler(request, ...rest)
    if (typeof key !== 'string') return responseOf(key)
    // The handler gets the request itself, which it may know by more than what it says.
    const body = await bytesOf(request.clone().body, requests.bodyBytesMax)
    if (body === undefined) return responseOf(bodyTooLarge(requests.bodyBytesMax))
    const { pathname, search } = new URL(request.url)
    const facts = {
      method,
      target: pathname + search,
      tenant: requests.tenantOf(request),
      body,
      signal: requestContext(request)?.signal,
    }
    const sent = new WeakMap<Answer, Response>()
    const answer = await requests.answer(key, facts, async (context: CallContext) => {
      setContext(request, context)
      const response = await handler(request, ...rest)
      const taken = await answerOf(response, requests)
      if (taken.rest !== undefined) sent.set(taken.answer, taken.rest)
      return taken.answer
    })
    return sent.get(answer) ?? responseOf(answer)
  }
  return Object.assign(serve, { policy: requests.policy })
}

type Reader = ReadableStreamDefaultReader<Uint8Array>

/** A response as it is kept, and, where it is too large for that, as it is sent. */
async function answerOf(
  response: Response,
  { keepCookies }: { readonly keepCookies: boolean },
): Promise<{ readonly answer: Answer; readonly rest: Response | undefined }> {
  const { status, headers, body } = response
  const kept = { status, headers: keptHeaders(headers, { keepsCookies: keepCookies }), isReplayed: false }
  const reader: Reader | undefined = body?.getReader()
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for (;;) {
    const read = await reader?.read()
    if (read?.value === undefined) break
    chunks.push(read.value)
    sizeBytes += read.value.length
    if (sizeBytes <= BODY_BYTES_MAX) continue
    const rest = new Response(joined(chunks, reader), response)
    return { answer: { ...kept, body: undefined }, rest }
  }
  // As the handler made it: with its cookies, whether they are kept or not.
  return { answer: { ...kept, body: Buffer.concat(chunks) }, rest: new Response(bodyOf(status, chunks), response) }
}

function responseOf({ status, headers, body, isReplayed }: Answer): Response {
  const response = new Response(bodyOf(status, body === undefined ? [] : [body]), { status })
  for (const [name, value] of headers) response.headers.append(name, value)
  if (isReplayed) response.headers.set(REPLAYED_HEADER, 'true')
  return response
}

// A response with one of these must not have a body, be it empty.
function bodyOf(status: number, chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | null {
  return [101, 204, 205, 304].includes(status) ? null : new Uint8Array(Buffer.concat(chunks))
}

function joined(chunks: readonly Uint8Array[], reader: Reader | undefined): ReadableStream<Uint8Array<ArrayBuffer>> {
  const waiting = [...chunks]
  return new ReadableStream({
    pull: async controller => {
      const chunk = waiting.shift() ?? (await reader?.read())?.value
      if (chunk === undefined) controller.close()
      else controller.enqueue(new Uint8Array(chunk))
    },
    cancel: reason => reader?.cancel(reason),
  })
}

/** All of a body; undefined when there is more than so much. */
async function bytesOf(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<Uint8Array | undefined> {
  const reader = body?.getReader()
  const chunks: Uint8Array[] = []
  for (let sizeBytes = 0; ;) {
    const read = await reader?.read()
    if (read?.value === undefined) return Buffer.concat(chunks)
    sizeBytes += read.value.length
    if (sizeBytes > bytesMax) {
      // Of two that read the same body, one alone cannot end it: nobody waits for that.
      reader?.cancel().catch(() => {})
      return undefined
    }
    chunks.push(read.value)
  }
}
