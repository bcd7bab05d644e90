// For tests: a proxy that can keep back what a PostgreSQL says by itself, while its answers still come.
import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

const HEADER_BYTES = 5
const NOTIFICATION = 'A'.charCodeAt(0)

export class NoticeFilter {
  isMuffled = false
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', client =>
      this.#join(client, connect({ host: '127.0.0.1', port: targetPort, noDelay: true })),
    )
  }

  static async open(targetPort: number): Promise<NoticeFilter> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new NoticeFilter(server, targetPort)
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(client: Socket, server: Socket): void {
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
    client.on('data', bytes => server.write(bytes))
    let unread = Buffer.alloc(0)
    server.on('data', bytes => {
      unread = Buffer.concat([unread, bytes])
      // Each message is a letter, the length of what follows it, and that. Nothing is encrypted here.
      while (unread.length >= HEADER_BYTES && unread.length > unread.readInt32BE(1)) {
        const message = unread.subarray(0, unread.readInt32BE(1) + 1)
        unread = unread.subarray(message.length)
        if (message[0] !== NOTIFICATION || !this.isMuffled) client.write(message)
      }
    })
  }
}
