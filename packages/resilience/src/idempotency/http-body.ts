import type { IncomingMessage } from 'node:http'
import { InvalidArgumentError } from '@holdfast/core'
import { canonicalJson } from './fingerprint.ts'

/** A request as parsers of bodies leave it. */
type Parsed = IncomingMessage & { readonly rawBody?: unknown; readonly body?: unknown }

/**
 * The body of a request, which can be read again afterwards as if nothing had happened. Where something before has read it, what that
 * left: `rawBody`, or `body` as canonical JSON.
 *
 * @returns undefined when it has more than so many bytes.
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it was read before, and nothing was left.
 */
export async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Uint8Array | undefined> {
  const { rawBody, body } = request as Parsed
  if (rawBody instanceof Uint8Array) return rawBody
  if (body !== undefined && body !== null) return body instanceof Uint8Array ? body : Buffer.from(canonicalJson(body))
  if (!hasBody(request)) return new Uint8Array(0)
  if (request.readableEnded || request.destroyed) {
    throw new InvalidArgumentError(
      'request',
      'Expected the body of the request to be there: the idempotency middleware has to stand before what reads it, or behind ' +
        'what leaves it as `rawBody` or `body`.',
    )
  }
  return await readAhead(request, bytesMax)
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > 0
}

// What was read goes back into the stream before it has told anybody of its end, which it does in a later turn.
function readAhead(request: IncomingMessage, bytesMax: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let sizeBytes = 0
    const over = (settle: () => void): void => {
      request.off('readable', take)
      request.off('error', fail)
      request.off('close', gone)
      // By then the stream has noticed that nobody listens, and whoever does so next sets it going again.
      process.nextTick(settle)
    }
    const take = (): void => {
      for (
        let chunk = request.read() as Uint8Array | null;
        chunk !== null;
        chunk = request.read() as Uint8Array | null
      ) {
        chunks.push(chunk)
        sizeBytes += chunk.length
        if (sizeBytes > bytesMax) return over(() => resolve(undefined))
      }
      if (!request.complete) return
      const body = Buffer.concat(chunks)
      if (body.length > 0) request.unshift(body)
      over(() => resolve(body))
    }
    const fail = (error: unknown): void => over(() => reject(error as Error))
    const gone = (): void => fail(new Error('The client went away before it had sent the whole request.'))
    request.on('readable', take)
    request.on('error', fail)
    request.on('close', gone)
  })
}
