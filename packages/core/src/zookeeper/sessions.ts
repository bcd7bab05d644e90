import { onAbort } from '../abort.ts'
import type { BackendLifecycle } from '../backend.ts'
import { ClosedError, UnavailableError } from '../errors.ts'
import { toHex } from '../random.ts'
import type { Driver } from './driver.ts'
import { loadDriver } from './driver.ts'
import { OperationError, toHoldfastError } from './errors.ts'
import type { Settings } from './options.ts'
import { heartbeatPath } from './paths.ts'
import type { SessionDeadline } from './session-deadline.ts'
import { Session } from './session.ts'
import { sessionEvent } from './telemetry.ts'

/** Hears of sessions that end. */
export interface SessionsListener {
  /** The session is over, or was closed. */
  sessionEnded(session: Session): void
  /** What rested on this deadline is lost; the session lives on. */
  deadlineLapsed(lapsed: SessionDeadline): void
}

/** One session after the other: when one is lost a fresh one takes its place, with a fresh client of the driver. */
export class Sessions {
  readonly #settings: Settings
  readonly #lifecycle: BackendLifecycle
  readonly #load: () => Driver
  readonly #listeners = new Set<SessionsListener>()
  readonly #waiting = new Set<() => void>()
  #driver: Driver | undefined
  #current: Session | undefined
  #isClosed = false

  constructor(settings: Settings, lifecycle: BackendLifecycle, load: () => Driver = loadDriver) {
    this.#settings = settings
    this.#lifecycle = lifecycle
    this.#load = load
  }

  /** For messages. */
  get server(): string {
    return this.#settings.target.text
  }

  /**
   * The session of now, connected or not; the first call makes it.
   *
   * @throws {DriverError} `HF_DRIVER`
   * @throws {ClosedError} `HF_CLOSED`
   */
  get current(): Session {
    if (this.#isClosed) throw new ClosedError('zookeeper backend')
    this.#current ??= this.#begin(undefined)
    return this.#current
  }

  /** Why there is no connection; undefined when there is one, or nobody has asked for it. */
  get cause(): unknown {
    return this.#current?.cause
  }

  listen(listener: SessionsListener): void {
    this.#listeners.add(listener)
  }

  /**
   * A session that the server has made, so that its timeout is known.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` when there is none within `timeoutMs`
   */
  async made(timeoutMs: number = this.#settings.operationTimeoutMs, signal?: AbortSignal): Promise<Session> {
    if (!this.current.isMade) await this.#until(() => this.current.isMade, timeoutMs, signal)
    return this.current
  }

  /** Resolves when there is a connection. */
  async connected(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const isConnected = (): boolean => this.current.state.kind === 'connected'
    if (!isConnected()) await this.#until(isConnected, timeoutMs, signal)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#current?.close()
    this.#wake()
  }

  #begin(lastZxid: Buffer | undefined): Session {
    this.#driver ??= this.#load()
    const { clock, random, target, base, sessionTimeoutMs, operationTimeoutMs, auth, acl } = this.#settings
    const session = new Session({
      driver: this.#driver,
      servers: target.servers,
      sessionTimeoutMs,
      operationTimeoutMs,
      lastZxid,
      auth,
      acl,
      clock,
      random,
      heartbeatPath: heartbeatPath({ base }, toHex(random.bytes(16))),
      onState: changed => this.#onState(changed),
      onLapse: (_, lapsed) => {
        for (const listener of this.#listeners) listener.deadlineLapsed(lapsed)
      },
    })
    session.start()
    return session
  }

  #onState(session: Session): void {
    const { state } = session
    sessionEvent.publish({
      event: state.kind,
      server: this.server,
      session: session.id.toString(16),
      cause: session.cause,
    })
    switch (state.kind) {
      case 'connecting':
        break
      case 'connected':
        this.#lifecycle.setHealth({ kind: 'ready' })
        break
      case 'suspended':
        this.#lifecycle.setHealth(state)
        break
      case 'over':
        if (state.failure.kind === 'unauthenticated')
          this.#lifecycle.setHealth({ kind: 'suspended', cause: this.#refusal })
        else this.#replace(session)
        for (const listener of this.#listeners) listener.sessionEnded(session)
    }
    this.#wake()
  }

  #replace(lost: Session): void {
    if (this.#isClosed || this.#current !== lost) return
    this.#lifecycle.setHealth({ kind: 'connecting' })
    this.#current = this.#begin(lost.lastZxid)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #until(isSo: () => boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      let stopListening = (): void => {}
      const settle = (how: () => void): void => {
        this.#waiting.delete(look)
        timer.cancel()
        stopListening()
        how()
      }
      const look = (): void => {
        const refusal = this.#refusal
        if (this.#isClosed) settle(() => reject(new ClosedError('zookeeper backend')))
        else if (refusal !== undefined) settle(() => reject(refusal))
        else if (isSo()) settle(resolve)
      }
      // Somebody awaits it, so it holds the process.
      const timer = this.#settings.clock.setTimer(() => settle(() => reject(this.#unavailable(timeoutMs))), timeoutMs, {
        background: false,
      })
      this.#waiting.add(look)
      stopListening = onAbort(signal, reason => settle(() => reject(reason)))
      if (this.#refusal !== undefined) look()
    })
  }

  // Credentials that the server does not take will be as wrong the next time: their session has no successor.
  get #refusal(): unknown {
    const state = this.#current?.state
    if (state?.kind !== 'over' || state.failure.kind !== 'unauthenticated') return undefined
    return toHoldfastError(new OperationError(state.failure), this.server)
  }

  #unavailable(timeoutMs: number): UnavailableError {
    const { cause } = this.current
    const why = cause instanceof Error ? `: ${cause.message}` : '.'
    return new UnavailableError(`No connection to ZooKeeper at ${this.server} within ${timeoutMs} ms${why}`, { cause })
  }
}
