import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import { Flow } from './flow.ts'
import type { FlowRule } from './flow.ts'
import { resetSocket } from './reset-socket.ts'

/** A way through the proxy. */
export type FlowDirection = 'to-server' | 'to-client'

/** How a link is made. */
export interface LinkOptions {
  readonly clock: Clock
  readonly target: { readonly host: string; readonly port: number }
  readonly client: Socket
  readonly rule: (direction: FlowDirection) => FlowRule
  readonly onBytes: (direction: FlowDirection, chunk: Uint8Array) => void
  /** Asked when bytes of a reply come, until it has answered: after how many of them the link is to be cut. */
  readonly claimCut: () => number | undefined
  /** Called when both ends are closed. */
  readonly onClosed: (link: Link) => void
}

/** One client's connection through the proxy, and the connection to the server that belongs to it. */
export class Link {
  readonly #options: LinkOptions
  readonly #server: Socket
  readonly #flows: Readonly<Record<FlowDirection, Flow>>
  #bytesToCut: number | undefined
  #closedEnds = 0

  constructor(options: LinkOptions) {
    this.#options = options
    const { client, target } = options
    this.#server = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true })
    this.#flows = { 'to-server': this.#flow('to-server'), 'to-client': this.#flow('to-client') }
    for (const socket of [client, this.#server]) socket.on('close', () => this.#onClose())
  }

  releaseHeld(direction: FlowDirection): void {
    this.#flows[direction].releaseHeld()
  }

  /** Ends both connections with a reset. */
  drop(): void {
    this.#stop()
    for (const socket of [this.#options.client, this.#server]) resetSocket(socket)
  }

  #flow(direction: FlowDirection): Flow {
    const { client, clock, rule, onBytes } = this.#options
    const isReply = direction === 'to-client'
    return new Flow({
      clock,
      source: isReply ? this.#server : client,
      sink: isReply ? client : this.#server,
      rule: () => rule(direction),
      onBytes: chunk => onBytes(direction, chunk),
      cutWithin: isReply ? chunkBytes => this.#cutWithin(chunkBytes) : () => undefined,
      onCut: () => this.#cut(),
    })
  }

  #cutWithin(chunkBytes: number): number | undefined {
    this.#bytesToCut ??= this.#options.claimCut()
    if (this.#bytesToCut === undefined || this.#bytesToCut <= chunkBytes) return this.#bytesToCut
    this.#bytesToCut -= chunkBytes
    return undefined
  }

  // Without a reset: what was let through must arrive.
  #cut(): void {
    this.#stop()
    this.#options.client.destroy()
    this.#server.destroy()
  }

  #stop(): void {
    for (const flow of Object.values(this.#flows)) flow.stop()
  }

  #onClose(): void {
    this.#closedEnds += 1
    if (this.#closedEnds === 2) this.#options.onClosed(this)
  }
}
