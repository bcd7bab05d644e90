import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../clock.ts'
import { resetSocket } from './reset-socket.ts'

/** What happens to bytes of one direction. */
export type FlowRule =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'hold' }
  | { readonly kind: 'swallow' }

/** How a flow is made. */
export interface FlowOptions {
  readonly clock: Clock
  readonly source: Socket
  readonly sink: Socket
  /** The rule of now; asked for every chunk. */
  readonly rule: () => FlowRule
  readonly onBytes: (chunk: Uint8Array) => void
  /** After how many bytes of a chunk the connection is to be cut; undefined when it is not. Asked once for every chunk. */
  readonly cutWithin: (chunkBytes: number) => number | undefined
  /** Called when those bytes have passed. */
  readonly onCut: () => void
}

type Item =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly dueMs: number }
  | { readonly kind: 'end'; readonly dueMs: number }
  | { readonly kind: 'reset'; readonly dueMs: number }

/** So much may wait in one direction; then its source is not read any more. */
const QUEUED_BYTES_MAX = 16 * 1_024 * 1_024

/** One direction of a connection: what comes from the source goes to the sink, in order, as the rule says. */
export class Flow {
  readonly #options: FlowOptions
  #queue: Item[] = []
  #queuedBytes = 0
  #timer: Timer | undefined
  // Once bytes were swallowed, nothing can come through any more.
  #hasLostBytes = false
  #hasEnded = false
  #isSinkFull = false
  #isStopped = false

  constructor(options: FlowOptions) {
    this.#options = options
    const { source, sink } = options
    source.on('data', (bytes: Uint8Array) => this.#receive(bytes))
    source.on('end', () => this.#end('end'))
    source.on('close', () => this.#end('reset'))
    // What went wrong shows as `close`.
    source.on('error', () => {})
    sink.on('drain', () => {
      this.#isSinkFull = false
      this.#flush()
    })
  }

  /** Lets everything through that is held or delayed. */
  releaseHeld(): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#queue = this.#queue.map(item => ({ ...item, dueMs: nowMs }))
    this.#flush()
  }

  /** Forgets what has not gone through, and lets nothing more through. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#queue = []
    this.#queuedBytes = 0
  }

  #receive(bytes: Uint8Array): void {
    this.#options.onBytes(bytes)
    const dueMs = this.#dueMs()
    if (dueMs === undefined) return
    this.#queue.push({ kind: 'bytes', bytes, dueMs })
    this.#queuedBytes += bytes.length
    this.#flush()
    if (this.#queuedBytes > QUEUED_BYTES_MAX) this.#options.source.pause()
  }

  #end(kind: 'end' | 'reset'): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const dueMs = this.#dueMs()
    if (dueMs === undefined) return
    this.#queue.push({ kind, dueMs })
    this.#flush()
  }

  /** When what comes now may go on; undefined = never. */
  #dueMs(): number | undefined {
    const rule = this.#options.rule()
    if (rule.kind === 'swallow') this.#hasLostBytes = true
    if (this.#hasLostBytes) return undefined
    if (rule.kind === 'hold') return Infinity
    return this.#options.clock.monotonicMs() + (rule.kind === 'delay' ? rule.delayMs : 0)
  }

  #flush(): void {
    this.#timer?.cancel()
    if (this.#isStopped) return
    const { clock, source } = this.#options
    while (!this.#isSinkFull) {
      const item = this.#queue[0]
      if (item === undefined || item.dueMs > clock.monotonicMs()) break
      this.#queue.shift()
      this.#forward(item)
    }
    if (this.#queuedBytes <= QUEUED_BYTES_MAX && source.isPaused()) source.resume()
    const next = this.#queue[0]
    // A full sink tells when it has drained.
    if (next === undefined || next.dueMs === Infinity || this.#isSinkFull) return
    this.#timer = clock.setTimer(() => this.#flush(), next.dueMs - clock.monotonicMs())
  }

  #forward(item: Item): void {
    const { sink } = this.#options
    if (item.kind === 'bytes') return this.#write(item.bytes)
    if (item.kind === 'end') sink.end()
    else resetSocket(sink)
  }

  #write(bytes: Uint8Array): void {
    const { sink, cutWithin, onCut } = this.#options
    this.#queuedBytes -= bytes.length
    if (sink.writableEnded || sink.destroyed) return
    const passing = cutWithin(bytes.length)
    if (passing === undefined) this.#isSinkFull = !sink.write(bytes)
    else sink.end(bytes.subarray(0, passing), onCut)
  }
}
