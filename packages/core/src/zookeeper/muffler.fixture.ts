import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { FrameReader } from './frames.ts'

const NOTIFICATION_XID = -1

/** A proxy that can keep from a client what ZooKeeper says by itself: the events of its watches. Answers pass. */
export class Muffler {
  isMuffled = false
  readonly #server = createServer(client => this.#accept(client))
  readonly #sockets = new Set<Socket>()
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get connectString(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #accept(client: Socket): void {
    const upstream = connect(this.#port, '127.0.0.1').setNoDelay()
    client.setNoDelay()
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        peer.destroy()
      })
    }
    client.on('data', chunk => upstream.write(chunk))
    const frames = new FrameReader()
    upstream.on('data', chunk =>
      frames.push(chunk, frame => {
        if (!this.isMuffled || frame.readInt32BE(4) !== NOTIFICATION_XID) client.write(frame)
      }),
    )
  }
}
