import type { Clock, Timer } from '../clock.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { Random } from '../random.ts'
import type { ServerAddress } from './connect-string.ts'
import type { ConnectionManager, Driver, DriverPacket } from './driver.ts'
import { STATE } from './driver.ts'
import { FrameReader } from './frames.ts'
import { codeOf } from './calls.ts'
import { ReplyReader } from './jute.ts'
import { REPLY_PAYLOAD_OFFSET } from './operations.ts'
import { Refusals } from './refusals.ts'
import { Watchdog } from './watchdog.ts'

/** Hears what happens to a link. None of these may throw. */
export interface LinkListener {
  /** The handshake is done; `sent` is a moment before it was sent. */
  connected(sent: Moment): void
  /** There is no connection any more, or an attempt failed; another will be made. */
  disconnected(cause: unknown): void
  /** The session is over: a server said so, or none will ever take it up again. The link is of no use any more. */
  expired(): void
  /** The server does not take our credentials. The link is of no use any more. */
  unauthenticated(): void
  /** The node was deleted, or changed in some other way, and the watch on it is gone. */
  notified(path: string, isGone: boolean): void
}

/** What a link is made of. */
export interface LinkOptions {
  readonly driver: Driver
  readonly servers: readonly ServerAddress[]
  readonly sessionTimeoutMs: number
  /** No server that has not seen this transaction will do: a client never goes back in time. */
  readonly lastZxid: Buffer | undefined
  /** The frame that presents our credentials; a connection is used only once they were taken. */
  readonly auth: Buffer | undefined
  readonly clock: Clock
  readonly random: Random
  readonly listener: LinkListener
}

const PING_XID = -2
const NOTIFICATION_XID = -1
const AUTH_XID = -4
const NODE_DELETED = 2
const XID_MAX = 2_000_000_000
const HANDSHAKE_MS_MIN = 200
const BACKOFF_MS = 50
const BACKOFF_MS_MAX = 1_000
const CLOSE_MS = 400

/**
 * One session's connection, over the driver's connection manager with its faults repaired from outside (the numbers are those of
 * the list in `link.test.ts`): silence ends a connection (1), a handshake has a deadline (2), the packets that a connection left
 * behind are failed and never sent later (4), so is half a frame (6); no reply can throw into the socket's handler (7, 15), xids
 * wrap (12), reconnecting backs off with jitter (13), it can be closed at any time (14). The driver's watches are not used, so it
 * never sends them again in one packet (10).
 */
export class Link {
  readonly #options: LinkOptions
  readonly #manager: ConnectionManager
  readonly #dialDriver: () => void
  readonly #handDriver: (chunk: Buffer) => void
  readonly #watchdog: Watchdog
  readonly #refusals: Refusals
  #frames = new FrameReader()
  #dialed: Moment
  #timer: Timer | undefined
  #nextServer: number
  #server: ServerAddress | undefined
  #failures = 0
  #cause: unknown
  #isOver = false
  #isCorked = false
  // Our handshake is with the server, and it is not us who end this connection.
  #isAsking = false
  #hasBegun = false
  #onSocketGone: (() => void) | undefined

  constructor(options: LinkOptions) {
    const { driver, clock, random, servers, sessionTimeoutMs, lastZxid } = options
    this.#options = options
    this.#dialed = momentOf(clock)
    this.#watchdog = new Watchdog(clock, silentMs =>
      this.cut(new Error(`Nothing was heard for ${Math.round(silentMs)} ms.`)),
    )
    this.#refusals = new Refusals(clock, servers)
    // Not all clients begin with the same server.
    this.#nextServer = Math.floor(random.next() * servers.length)
    const manager = driver.createManager(sessionTimeoutMs)
    this.#manager = manager
    this.#dialDriver = manager.connect.bind(manager)
    this.#handDriver = manager.onSocketData.bind(manager)
    const closeDriver = manager.onSocketClosed.bind(manager)
    const failDriver = manager.onSocketError.bind(manager)
    // What the socket calls is bound when a connection is made, so these take the place of the driver's own.
    manager.servers = servers
    manager.findNextServer = use => use(this.#takeServer())
    manager.connect = () => this.#dialLater()
    manager.onSocketData = chunk => this.#receive(chunk)
    manager.onSocketError = error => {
      this.#cause = error
      failDriver(error)
    }
    manager.onSocketClosed = hasError => {
      this.#noteEnd(hasError)
      this.#leave()
      closeDriver(hasError)
      this.#onSocketGone?.()
      if (this.#isOver) return
      if (this.#isRefusedForGood) this.#giveUp()
      else options.listener.disconnected(this.#cause)
    }
    manager.on('state', state => this.#onState(state))
    if (lastZxid !== undefined) manager.zxid = Buffer.from(lastZxid)
  }

  /** Connects, and from then on connects again whenever the connection is lost, until `expired` or `close`. */
  start(): void {
    this.#dial()
  }

  get isConnected(): boolean {
    return this.#manager.state === STATE.connected
  }

  /** What the server granted; before the first handshake what was asked for. */
  get sessionTimeoutMs(): number {
    return this.#manager.sessionTimeout
  }

  get sessionId(): bigint {
    return this.#manager.sessionId.readBigInt64BE(0)
  }

  /** The last transaction that a server told us of; 0 once all servers have lost it. */
  get lastZxid(): Buffer {
    return this.#manager.zxid
  }

  /** Only while connected. The callback gets the reply's frame, or an error when the connection broke before. */
  send(request: DriverPacket['request'], callback: DriverPacket['callback']): void {
    if (this.#manager.xid >= XID_MAX) this.#manager.xid = 1
    this.#cork()
    this.#manager.queue(request, callback)
  }

  /** Ends the connection, not the session: another connection is made. */
  cut(cause: unknown): void {
    this.#cause = cause
    this.#isAsking = false
    this.#manager.socket?.destroy()
  }

  /** Ends the link without telling the server. */
  abandon(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#watchdog.stop()
    this.#clearDriverTimer()
    this.#manager.socket?.destroy()
  }

  /** Ends the session, and with it all its nodes; waits a little for the server to say so. */
  async close(): Promise<void> {
    if (this.isConnected && !this.#isOver) {
      await new Promise<void>(resolve => {
        const timer = this.#options.clock.setTimer(resolve, CLOSE_MS, { background: false })
        this.#onSocketGone = () => {
          timer.cancel()
          resolve()
        }
        this.#isOver = true
        this.#manager.close()
      })
    }
    this.abandon()
  }

  #dial(): void {
    if (this.#isOver) return
    const { clock, servers } = this.#options
    this.#frames = new FrameReader()
    this.#isCorked = false
    this.#isAsking = false
    this.#dialed = momentOf(clock)
    this.#dialDriver()
    this.#clearDriverTimer()
    // Who waits for an answer holds the process; the connection does not.
    this.#manager.socket?.unref()
    // The driver listens as well, and has sent the handshake by then.
    this.#manager.socket?.once('connect', () => (this.#isAsking = true))
    const handshakeMs = Math.max(HANDSHAKE_MS_MIN, this.sessionTimeoutMs / 3 / servers.length)
    this.#timer = clock.setTimer(
      () => this.cut(new Error(`No handshake within ${Math.round(handshakeMs)} ms.`)),
      handshakeMs,
    )
  }

  #dialLater(): void {
    if (this.#isOver) return
    const { clock, random, servers } = this.#options
    // Every server is tried before the delay grows.
    const round = Math.min(10, Math.floor(this.#failures / servers.length))
    this.#failures += 1
    const delayMs = random.next() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** round)
    this.#timer = clock.setTimer(() => this.#dial(), delayMs)
  }

  #takeServer(): ServerAddress {
    const { servers } = this.#options
    const index = this.#nextServer % servers.length
    this.#nextServer = index + 1
    // The list is never empty: the connect string is checked.
    this.#server = servers[index] as ServerAddress
    return this.#server
  }

  // It would destroy whatever socket there is when it fires: the next one, if the one it was set for is gone by then.
  #clearDriverTimer(): void {
    clearTimeout(this.#manager.connectTimeoutHandler ?? undefined)
    this.#manager.connectTimeoutHandler = null
  }

  #onState(state: number): void {
    if (state !== STATE.connecting) this.#isAsking = false
    if (state === STATE.connected) {
      const { auth } = this.#options
      if (auth === undefined) this.#begin()
      else this.#manager.socket?.write(auth)
    } else if (state === STATE.expired) {
      this.abandon()
      this.#options.listener.expired()
    }
  }

  #begin(): void {
    this.#timer?.cancel()
    this.#hasBegun = true
    this.#failures = 0
    this.#cause = undefined
    this.#watchdog.start(this.sessionTimeoutMs)
    this.#options.listener.connected(this.#dialed)
  }

  #onAuth(code: number): void {
    if (this.#isOver) return
    if (code === 0) return this.#begin()
    this.abandon()
    this.#options.listener.unauthenticated()
  }

  #noteEnd(hasError: boolean): void {
    // A server has read the handshake before it closes, so what resets the connection is something else: a proxy, a killed process.
    const isRefused = this.#isAsking && !hasError
    if (isRefused) this.#cause = new Error('The server closed the connection during the handshake.')
    if (this.#hasBegun) this.#refusals.disconnected()
    else if (this.#server !== undefined) this.#refusals.failed(this.#server, isRefused ? 'refused' : 'unreachable')
    this.#hasBegun = false
  }

  // Who has seen nothing was not refused for what he has seen.
  get #isRefusedForGood(): boolean {
    return this.lastZxid.some(byte => byte !== 0) && this.#refusals.areFinal(this.sessionTimeoutMs)
  }

  /** The store has lost what we saw: who follows us must not ask for it. */
  #giveUp(): void {
    this.#manager.zxid = Buffer.alloc(8)
    this.abandon()
    this.#options.listener.expired()
  }

  /** The connection is gone: nothing of it may reach into the next. */
  #leave(): void {
    this.#timer?.cancel()
    this.#watchdog.stop()
    this.#clearDriverTimer()
    this.#frames = new FrameReader()
    const unsent = this.#manager.packetQueue.queue.splice(0)
    for (const packet of unsent) packet.callback(new Error('The connection was lost.'))
  }

  // Requests of one turn of the event loop go out in one write: the server reads them in one go as well.
  #cork(): void {
    const { socket } = this.#manager
    if (this.#isCorked || socket === undefined) return
    this.#isCorked = true
    socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      socket.uncork()
    })
  }

  #receive(chunk: Buffer): void {
    this.#watchdog.heard()
    try {
      this.#frames.push(chunk, frame => this.#takeFrame(frame))
    } catch (error) {
      this.cut(error)
    }
  }

  #takeFrame(frame: Buffer): void {
    if (this.#isOver && this.#manager.state !== STATE.closing) return
    // The handshake's reply is the driver's to read.
    if (this.#manager.state === STATE.connecting) return this.#handDriver(frame)
    const xid = frame.readInt32BE(4)
    if (xid === PING_XID) return
    if (xid === AUTH_XID) return this.#onAuth(codeOf(frame))
    if (xid === NOTIFICATION_XID) return this.#notify(frame)
    const packet = this.#manager.pendingQueue.shift()
    if (packet?.request.header.xid !== xid) {
      if (packet !== undefined) this.#manager.pendingQueue.unshift(packet)
      return this.cut(new Error(`A reply to request ${xid} came out of order.`))
    }
    // A negative one says nothing (a throttled request has such).
    if (frame.readInt8(8) >= 0) frame.copy(this.#manager.zxid, 0, 8, 16)
    packet.callback(undefined, frame)
  }

  #notify(frame: Buffer): void {
    const reader = new ReplyReader(frame, REPLY_PAYLOAD_OFFSET)
    const kind = reader.int()
    reader.int()
    this.#options.listener.notified(reader.text(), kind === NODE_DELETED)
  }
}
