import type { Clock } from '../clock.ts'
import type { Moment } from '../lease/deadline.ts'
import { momentOf } from '../lease/deadline.ts'
import type { OpenCall } from './calls.ts'
import { Call, CallDeadlines, codeOf } from './calls.ts'
import type { OperationFailure } from './errors.ts'
import { Heartbeat } from './heartbeat.ts'
import type { LinkOptions } from './link.ts'
import { Link } from './link.ts'
import type { Operation } from './operations.ts'
import { SessionDeadline } from './session-deadline.ts'
import { Watches } from './watches.ts'

/**
 * - `connecting`: the server has not made the session yet.
 * - `connected`.
 * - `suspended`: the connection is lost; the session may outlive that.
 * - `over`: the server ended it or no server will take it up again (`session-lost`), or we ended it (`closed`), or the server does
 *   not take our credentials (`unauthenticated`). Its ephemeral nodes are gone, or will be soon.
 */
export type SessionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'suspended'; readonly cause: unknown }
  | { readonly kind: 'over'; readonly failure: OperationFailure & { kind: SessionEnd } }

/** How a session can end. */
export type SessionEnd = 'session-lost' | 'closed' | 'unauthenticated'

/** What a session is made of. */
export interface SessionOptions extends Omit<LinkOptions, 'listener'> {
  readonly operationTimeoutMs: number
  /** Of the nodes that are made in it, encoded. */
  readonly acl: Uint8Array
  /** The node that its heartbeats write. */
  readonly heartbeatPath: string
  /** The state may have changed: `suspended` is told for each attempt that failed. */
  readonly onState: (session: Session) => void
  /** A deadline passed while the session lived on: what rested on it is lost for good. */
  readonly onLapse: (session: Session, lapsed: SessionDeadline) => void
}

const CONNECTING: SessionState = Object.freeze({ kind: 'connecting' })
const CONNECTED: SessionState = Object.freeze({ kind: 'connected' })
const CUT: OperationFailure = Object.freeze({ kind: 'cut' })
const HELD_MAX = 100_000

/** One session with an ensemble: its operations, its proof of life, its end. It never comes back once it is over. */
export class Session {
  readonly watches: Watches = new Watches()
  readonly heartbeat: Heartbeat
  readonly #clock: Clock
  readonly #options: SessionOptions
  readonly #link: Link
  readonly #deadlines: CallDeadlines
  #state: SessionState = CONNECTING
  #connections = 0
  #cause: unknown
  #deadline: SessionDeadline | undefined
  // Asked for while there was no connection. The driver's own queue has neither bound nor deadline.
  #held: OpenCall[] = []

  constructor(options: SessionOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#deadlines = new CallDeadlines(options.clock, options.operationTimeoutMs, () => this.#cause)
    this.heartbeat = new Heartbeat(this, options.clock, options.heartbeatPath)
    this.#link = new Link({
      ...options,
      listener: {
        connected: sent => this.#onConnected(sent),
        disconnected: cause => this.#onDisconnected(cause),
        expired: () => this.#end({ kind: 'session-lost' }),
        unauthenticated: () => this.#end({ kind: 'unauthenticated' }),
        notified: (path, isGone) => this.watches.notify(path, isGone),
      },
    })
  }

  get state(): SessionState {
    return this.#state
  }

  get isOver(): boolean {
    return this.#state.kind === 'over'
  }

  /** Whether the server has ever made it: before, its timeout is only what was asked for. */
  get isMade(): boolean {
    return this.#deadline !== undefined
  }

  /** How many connections it has had. What was read while it stays the same was read in the order in which it was asked. */
  get connections(): number {
    return this.#connections
  }

  get acl(): Uint8Array {
    return this.#options.acl
  }

  get id(): bigint {
    return this.#link.sessionId
  }

  /** The negotiated one. */
  get timeoutMs(): number {
    return this.#link.sessionTimeoutMs
  }

  /** Why there is no connection. */
  get cause(): unknown {
    return this.#cause
  }

  get lastZxid(): Buffer {
    return this.#link.lastZxid
  }

  /** Of all leases that are granted now. Undefined before the session was made. */
  get deadline(): SessionDeadline | undefined {
    return this.#deadline
  }

  start(): void {
    this.#link.start()
  }

  /**
   * Runs an operation as soon as there is a connection, within the operation timeout; what only reads also over the next one, when
   * the connection breaks. Rejects with `OperationError`.
   */
  run<T>(operation: Operation<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new Call(operation, this.#deadlines, { resolve, reject })
      this.#deadlines.add(call)
      this.#submit(call)
    })
  }

  /** As `run`, without a deadline: it settles when the server answers, the connection breaks or the session ends. */
  runPatiently<T>(operation: Operation<T>): Promise<T> {
    return new Promise((resolve, reject) => this.#submit(new Call(operation, undefined, { resolve, reject })))
  }

  async close(): Promise<void> {
    this.#end({ kind: 'closed' })
    await this.#link.close()
  }

  #submit(call: OpenCall): void {
    switch (this.#state.kind) {
      case 'connected':
        return this.#send(call)
      case 'over':
        return call.fail(this.#state.failure)
      case 'connecting':
      case 'suspended':
        if (this.#held.length >= HELD_MAX) this.#held = this.#held.filter(held => !held.isSettled)
        if (this.#held.length >= HELD_MAX)
          return call.fail({ kind: 'unsent' }, new Error(`${HELD_MAX} operations wait already.`))
        this.#held.push(call)
    }
  }

  #send(call: OpenCall): void {
    const { request, isWrite } = call.operation
    const sent = isWrite ? momentOf(this.#clock) : undefined
    call.isSent = true
    this.#link.send(request, (error, frame) => {
      if (frame === undefined) return this.#onCut(call, error)
      if (sent !== undefined && codeOf(frame) === 0) this.#acknowledge(sent)
      try {
        call.answer(frame)
      } catch (cause) {
        // A reply that cannot be read: what follows it cannot be trusted either.
        call.fail(CUT, cause)
        this.#link.cut(cause)
      }
    })
  }

  /** What only reads is asked again over the next connection; of a write nobody knows whether it was done. */
  #onCut(call: OpenCall, error: unknown): void {
    if (this.#state.kind === 'over') return call.fail(this.#state.failure, error)
    if (call.operation.isWrite) return call.fail(CUT, error)
    call.isSent = false
    if (!call.isSettled) this.#held.push(call)
  }

  #acknowledge(sent: Moment): void {
    const deadline = this.#deadline
    if (deadline === undefined || deadline.extend(sent)) return
    this.#deadline = new SessionDeadline(this.#clock, sent, this.timeoutMs)
    this.#options.onLapse(this, deadline)
  }

  #onConnected(sent: Moment): void {
    // Making a session goes through the quorum as well; taking one up again does not.
    if (this.#deadline === undefined) this.#deadline = new SessionDeadline(this.#clock, sent, this.timeoutMs)
    this.#deadline.limitTo(this.timeoutMs)
    this.#state = CONNECTED
    this.#connections += 1
    this.#cause = undefined
    this.heartbeat.resume()
    const held = this.#held
    this.#held = []
    for (const call of held) if (!call.isSettled) this.#submit(call)
    this.#options.onState(this)
  }

  #onDisconnected(cause: unknown): void {
    if (this.isOver) return
    this.#cause = cause
    if (this.#state.kind !== 'connecting') this.#state = { kind: 'suspended', cause }
    this.#options.onState(this)
    this.watches.notifyAll()
  }

  #end(failure: OperationFailure & { kind: SessionEnd }): void {
    if (this.isOver) return
    this.#state = { kind: 'over', failure }
    this.heartbeat.stop()
    for (const call of this.#held.splice(0)) call.fail(failure)
    this.#options.onState(this)
    this.watches.notifyAll()
  }
}
