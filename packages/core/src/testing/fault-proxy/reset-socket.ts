import type { Socket } from 'node:net'

/**
 * Ends a connection with a reset where that is possible. The driver of sockets resets only what is connected and has nothing
 * left to send; one that is just being ended would otherwise stay open for ever.
 */
export function resetSocket(socket: Socket): void {
  if (socket.connecting || socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}
