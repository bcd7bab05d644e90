import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { systemClock } from '../clock.ts'
import { FrameReader } from './frames.ts'

/** What a fake server does with a request. Nothing = no answer. */
export type FakeAnswer = { readonly code?: number; readonly payload?: Buffer } | undefined

/** A server that shakes hands as ZooKeeper does and then answers as a test wants. Every handshake makes a new session. */
export class FakeServer implements AsyncDisposable {
  readonly #server = createServer(socket => this.#accept(socket))
  readonly #sockets = new Set<Socket>()
  readonly #answer: (opcode: number, xid: number) => FakeAnswer
  readonly #shakesHands: boolean
  /** When connections came, by the monotonic clock. */
  readonly connectedMs: number[] = []
  /** What transaction each handshake said it had seen. */
  readonly seen: bigint[] = []
  /** Whether it closes connections on their handshake, as a server does that has seen less than its client. */
  isRefusing = false

  constructor(answer: (opcode: number, xid: number) => FakeAnswer, { shakesHands = true } = {}) {
    this.#answer = answer
    this.#shakesHands = shakesHands
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get connectString(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Sends bytes to everybody. */
  send(bytes: Buffer): void {
    for (const socket of this.#sockets) socket.write(bytes)
  }

  drop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(socket: Socket): void {
    this.connectedMs.push(systemClock.monotonicMs())
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    if (!this.#shakesHands) return
    const frames = new FrameReader()
    let isOpen = false
    socket.on('data', chunk => {
      frames.push(chunk, frame => {
        if (isOpen) return this.#reply(socket, frame)
        isOpen = true
        this.seen.push(frame.readBigInt64BE(8))
        if (this.isRefusing) socket.end()
        else socket.write(handshake(frame))
      })
    })
  }

  #reply(socket: Socket, frame: Buffer): void {
    const xid = frame.readInt32BE(4)
    const opcode = frame.readInt32BE(8)
    const answer = this.#answer(opcode, xid)
    if (answer !== undefined) socket.write(reply(xid, answer.code ?? 0, answer.payload))
  }
}

/** A reply as it goes over the wire. */
export function reply(xid: number, code: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20)
  head.writeInt32BE(16 + payload.length, 0)
  head.writeInt32BE(xid, 4)
  head.writeBigInt64BE(1n, 8)
  head.writeInt32BE(code, 16)
  return Buffer.concat([head, payload])
}

// Grants whatever timeout is asked for.
function handshake(request: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + 4 + 4 + 8 + 4 + 16 + 1)
  bytes.writeInt32BE(bytes.length - 4, 0)
  bytes.writeInt32BE(request.readInt32BE(16), 8)
  bytes.writeBigInt64BE(0x1234n, 12)
  bytes.writeInt32BE(16, 20)
  return bytes
}
