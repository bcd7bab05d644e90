import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { FlowRule } from './fault-proxy/flow.ts'
import type { FlowDirection } from './fault-proxy/link.ts'
import { Link } from './fault-proxy/link.ts'
import type { CountedProtocol } from './fault-proxy/request-counters.ts'
import { resetSocket } from './fault-proxy/reset-socket.ts'
import { requestCounter } from './fault-proxy/request-counters.ts'

/** How a fault proxy is made. */
export interface FaultProxyOptions {
  /** The server behind it. */
  readonly target: { readonly host: string; readonly port: number }
  /** What `requests` counts. @default 'redis' */
  readonly protocol?: CountedProtocol
  /** For `delay`. @default systemClock */
  readonly clock?: Clock
}

/** Which way a fault works. */
export interface FaultDirection {
  /** @default 'both' */
  readonly direction?: FlowDirection | 'both'
}

const PASS: FlowRule = Object.freeze({ kind: 'pass' })
const HOST = '127.0.0.1'

/**
 * A TCP proxy on a free loopback port that breaks the network as told, and counts what clients send. A fault stays until the
 * next one for its direction, or until `heal`.
 */
export class FaultProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #options: FaultProxyOptions
  readonly #links = new Set<Link>()
  readonly #rules: Record<FlowDirection, FlowRule> = { 'to-server': PASS, 'to-client': PASS }
  readonly #bytes: Record<FlowDirection, number> = { 'to-server': 0, 'to-client': 0 }
  #bytesToCut: number | undefined
  #isRefusing = false
  #requests = 0
  #accepted = 0

  /** For `createFaultProxy`: the server listens already. */
  constructor(server: Server, options: FaultProxyOptions) {
    this.#server = server
    this.#options = options
    this.port = (server.address() as AddressInfo).port
    server.on('connection', client => this.#accept(client))
  }

  /** `host:port`, as ZooKeeper's clients want it. */
  get connectString(): string {
    return `${HOST}:${this.port}`
  }

  get redisUrl(): string {
    return `redis://${HOST}:${this.port}`
  }

  /** How many requests clients have sent: one EVALSHA is one, each command of a pipeline is one. */
  get requests(): number {
    return this.#requests
  }

  /** How many bytes clients have sent. */
  get bytesToServer(): number {
    return this.#bytes['to-server']
  }

  /** How many bytes the server has sent. */
  get bytesToClient(): number {
    return this.#bytes['to-client']
  }

  /** How many connections there are now. */
  get connections(): number {
    return this.#links.size
  }

  /** How many connections were let in. */
  get accepted(): number {
    return this.#accepted
  }

  /** Makes all counts 0. */
  resetCounts(): void {
    this.#requests = 0
    this.#accepted = 0
    this.#bytes['to-server'] = 0
    this.#bytes['to-client'] = 0
  }

  /** Whatever is sent arrives `delayMs` later, in order. */
  delay(delayMs: number, options?: FaultDirection): void {
    this.#setRule({ kind: 'delay', delayMs }, options)
  }

  /**
   * Whatever is sent is swallowed, the end of a connection included, and connections stay open. A connection that lost bytes
   * stays silent for good, as one whose router lost its state: `heal` lets only others through.
   */
  blackHole(options?: FaultDirection): void {
    this.#setRule({ kind: 'swallow' }, options)
  }

  /** Whatever is sent waits for `releaseHeld`. */
  hold(options?: FaultDirection): void {
    this.#setRule({ kind: 'hold' }, options)
  }

  /** Sends on what was held or delayed, in order, and lets pass what follows. */
  releaseHeld(options?: FaultDirection): void {
    this.#setRule(PASS, options)
    for (const direction of directionsOf(options)) {
      for (const link of this.#links) link.releaseHeld(direction)
    }
  }

  /** Cuts the connection of the next reply after `afterBytes` bytes of it (from 0 on). Once. */
  cutMidReply(afterBytes: number): void {
    this.#bytesToCut = afterBytes
  }

  /** New connections are reset at once; those that are open stay. */
  refuse(): void {
    this.#isRefusing = true
  }

  /** Resets every connection that is open now. */
  dropConnections(): void {
    for (const link of this.#links) link.drop()
  }

  /** Ends every fault. What was held or delayed goes on its way. */
  heal(): void {
    this.#isRefusing = false
    this.#bytesToCut = undefined
    this.releaseHeld()
  }

  /** Resets every connection and frees the port. Idempotent. */
  async close(): Promise<void> {
    this.dropConnections()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #setRule(rule: FlowRule, options: FaultDirection | undefined): void {
    for (const direction of directionsOf(options)) this.#rules[direction] = rule
  }

  #accept(client: Socket): void {
    if (this.#isRefusing) {
      client.on('error', () => {})
      resetSocket(client)
      return
    }
    this.#accepted += 1
    const counter = requestCounter(this.#options.protocol ?? 'redis')
    const link = new Link({
      client,
      clock: this.#options.clock ?? systemClock,
      target: this.#options.target,
      rule: direction => this.#rules[direction],
      onBytes: (direction, chunk) => {
        this.#bytes[direction] += chunk.length
        if (direction === 'to-server') this.#requests += counter.count(chunk)
      },
      claimCut: () => this.#claimCut(),
      onClosed: closed => this.#links.delete(closed),
    })
    this.#links.add(link)
  }

  #claimCut(): number | undefined {
    const claimed = this.#bytesToCut
    this.#bytesToCut = undefined
    return claimed
  }
}

/** Starts a fault proxy in front of a server. */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const server = createServer({ allowHalfOpen: true, noDelay: true })
  server.listen(0, HOST)
  await once(server, 'listening')
  return new FaultProxy(server, options)
}

function directionsOf(options: FaultDirection | undefined): readonly FlowDirection[] {
  const direction = options?.direction ?? 'both'
  return direction === 'both' ? ['to-server', 'to-client'] : [direction]
}
