import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { monotonicMs } from '../monotonic.ts'
import { FrameSplitter } from './frame-splitter.ts'

const SOCKETS = 'net.client.socket'
const CONNECT_SESSION_ID_AT = 16
// create, delete, setData, setACL, multi, create2, createContainer
const WRITES = new Set([1, 2, 5, 7, 14, 15, 19])

/**
 * Listens on the wire of this process's connections to a store's ports for the last write to ZooKeeper that was acknowledged: only
 * writes pass the quorum and prove a session. Independent of the adapter, which draws its own conclusions.
 */
export class SessionTap {
  readonly #ports: readonly number[]
  #provenAtMs = 0

  constructor(ports: readonly number[]) {
    this.#ports = ports
    subscribe(SOCKETS, this.#onSocket)
  }

  /** `monotonicMs` of its sending. */
  get provenAtMs(): number {
    return this.#provenAtMs
  }

  close(): void {
    unsubscribe(SOCKETS, this.#onSocket)
  }

  readonly #onSocket = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket }
    // Its first listener, so nothing has been written yet.
    socket.once('connect', () => {
      if (this.#ports.includes(socket.remotePort ?? 0)) this.#tap(socket)
    })
  }

  #tap(socket: Socket): void {
    const [requests, replies] = [new FrameSplitter(), new FrameSplitter()]
    const sentAtMs = new Map<number, number>()
    let isOpened = false
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = (...args: unknown[]): boolean => {
      for (const frame of requests.push(Buffer.from(args[0] as Uint8Array))) {
        if (isOpened) this.#noteRequest(frame, sentAtMs)
        // A new session is made by the quorum as well; one that is taken up again is not.
        else if (frame.readBigInt64BE(CONNECT_SESSION_ID_AT) === 0n) sentAtMs.set(CONNECT, monotonicMs())
        isOpened = true
      }
      return write(...args)
    }
    let isAnswered = false
    socket.on('data', (chunk: Buffer) => {
      for (const frame of replies.push(chunk)) {
        const sent = sentAtMs.get(isAnswered ? frame.readInt32BE(0) : CONNECT)
        isAnswered = true
        if (sent !== undefined) this.#provenAtMs = Math.max(this.#provenAtMs, sent)
      }
    })
  }

  #noteRequest(frame: Buffer, sentAtMs: Map<number, number>): void {
    const [xid, operation] = [frame.readInt32BE(0), frame.readInt32BE(4)]
    if (WRITES.has(operation)) sentAtMs.set(xid, monotonicMs())
  }
}

// No request has this number.
const CONNECT = -1_000
