import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpAnswer } from './rejection-response.ts'

// What is left of a refused upload is read and dropped, so that the connection can be used again; more than this costs more than a new
// connection.
const DRAIN_BYTES_MAX = 1_048_576

/**
 * Writes an answer in one piece. A connection that is kept alive stays usable: Node drops the rest of the request when the response is
 * finished. Only where that is known to be long is the connection closed.
 */
export function writeAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: HttpAnswer,
): void {
  const close = isLongUpload(request) ? { Connection: 'close' } : {}
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body), ...close })
  response.end(body)
}

function isLongUpload({ headers, complete, httpVersionMajor }: IncomingMessage): boolean {
  return !complete && httpVersionMajor === 1 && Number(headers['content-length'] ?? 0) > DRAIN_BYTES_MAX
}

/**
 * A handler that goes on after its time was over would throw where it writes, often in a callback that nobody guards, and end the
 * process. What it writes to a response that was answered is dropped.
 */
export function dropLateWrites(response: ServerResponse): void {
  const same = (): ServerResponse => response
  const late: Partial<Record<keyof ServerResponse, () => unknown>> = {
    setHeader: same,
    appendHeader: same,
    setHeaders: same,
    removeHeader: () => undefined,
    writeHead: same,
    flushHeaders: () => undefined,
    writeContinue: () => undefined,
    write: () => true,
    end: same,
  }
  Object.assign(response, late)
}
