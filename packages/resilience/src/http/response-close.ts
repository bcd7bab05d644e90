import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const waiting = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `listener` once, when a response is finished or its connection is gone; at once, if it is.
 *
 * A response to a pipelined request gets its connection when those before it are finished. Until then it says nothing of the end of the
 * connection, and never will: there the connection itself is asked, by one listener for all.
 */
export function onResponseClose(request: IncomingMessage, response: ServerResponse, listener: () => void): void {
  const queued = response.socket === null ? request.socket : undefined
  if (response.closed || queued?.closed === true) return listener()
  const closed = (): void => {
    response.off('close', closed)
    if (queued !== undefined) waiting.get(queued)?.delete(closed)
    listener()
  }
  response.once('close', closed)
  if (queued !== undefined) waitersOf(queued).add(closed)
}

function waitersOf(socket: Socket): Set<() => void> {
  const known = waiting.get(socket)
  if (known !== undefined) return known
  const waiters = new Set<() => void>()
  waiting.set(socket, waiters)
  socket.once('close', () => {
    for (const closed of waiters) closed()
  })
  return waiters
}
