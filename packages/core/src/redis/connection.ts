import type { Redis } from 'ioredis'
import type { BackendHealth } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { ClosedError, HoldfastError } from '../errors.ts'
import type { Command } from './attempt.ts'
import { Attempt } from './attempt.ts'
import { CommandDeadlines } from './deadlines.ts'
import { addressOf, isBehindSentinel, isCluster } from './driver.ts'
import { isBadLogin, isDemoted, isReplyError, isUnknownScript, refusal, unavailable, withoutCommand } from './errors.ts'
import type { Script } from './scripts/script.ts'
import type { ServerFacts } from './server.ts'
import type { EventPoint } from '../telemetry.ts'
import { eventPoint } from '../telemetry.ts'

const RETRY_MS = 20
const EXAMINE_RETRY_MS = 200

/** What a connection is made of. */
export interface ConnectionSettings {
  readonly clock: Clock
  readonly commandTimeoutMs: number
  /** Makes the driver's client, or hands over the user's. */
  readonly open: () => Promise<Redis>
  /** Whether the client is ours to re-connect and to close. */
  readonly isOurs: boolean
  /** The scripts that commands are going to call by their sha. */
  readonly scripts: () => readonly Script[]
  /** Asks a server what it is, each time it was connected to anew. */
  readonly examine: (client: Redis) => Promise<ServerFacts>
  readonly onHealth: (health: BackendHealth) => void
  /** What is done with a client of ours that did not answer in time. @default it connects anew */
  readonly onSilence?: ((client: Redis) => void) | undefined
}

/** What `holdfast:redis.connection` carries. */
export interface ConnectionEvent {
  readonly event: 'ready' | 'held-back' | 'refused' | 'lost' | 'silent'
  readonly server: string
  /** Why, where there is a reason. */
  readonly cause: unknown
}

const connectionEvent: EventPoint<ConnectionEvent> = eventPoint('redis.connection')

/**
 * - `down`: nothing can be sent.
 * - `answering`: what is no grant can be sent; grants are held back, or refused.
 * - `granting`: all can be sent.
 */
type Stage = 'down' | 'answering' | 'granting'

/**
 * A connection whose every command is answered, refused or given up by a deadline, whatever the link does.
 *
 * The driver alone gives no such promise: a command on a silent link stays pending for ever, and one whose connection broke is
 * sent again behind its caller's back.
 */
export class RedisConnection {
  readonly #settings: ConnectionSettings
  readonly #deadlines: CommandDeadlines
  readonly #detach: (() => void)[] = []
  #client: Redis | undefined
  #opening: Promise<void> | undefined
  #stage: Stage = 'down'
  #isClosed = false
  #epoch = 0
  #examinedAtMs = 0
  #facts: ServerFacts = { guarantee: 'advisory', holdBackMs: 0 }
  #lastError: unknown
  #waiting = new Set<Attempt<never>>()
  #isRefused = false
  #isProbing = false
  #isSilent = false
  #cutEpoch: number | undefined
  readonly #timers = new Set<Timer>()
  // The user's client keeps its link: it is well again as soon as it answers.
  readonly #heard = (): void => {
    if (!this.#isSilent) return
    this.#isSilent = false
    if (this.#stage !== 'down') this.#settings.onHealth({ kind: 'ready' })
  }
  #address = 'the given address'

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
    this.#deadlines = new CommandDeadlines(settings.clock, settings.commandTimeoutMs)
  }

  /** Grows each time the server was connected to anew. */
  get epoch(): number {
    return this.#epoch
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#facts.guarantee
  }

  get commandTimeoutMs(): number {
    return this.#deadlines.timeoutMs
  }

  get address(): string {
    return this.#address
  }

  get lastError(): unknown {
    return this.#lastError
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends a command once the connection is usable; exactly one of `answered` and `failed` is called, within the deadline. */
  run<T>(command: Command<T>): void {
    if (this.#isClosed) return command.failed(new ClosedError('redis backend'))
    const attempt = new Attempt(command, this.#deadlines, expired => this.#giveUp(expired))
    this.#send(attempt)
  }

  /** Does something with the driver's client that may be done again, by the same deadline as a command. */
  within<T>(send: (client: Redis) => Promise<T>): Promise<T> {
    return new Promise((answered, failed) => this.run({ send, answered, failed, isIdempotent: true }))
  }

  /** As `within`, for what is no grant. */
  ask<T>(send: (client: Redis) => Promise<T>): Promise<T> {
    return new Promise((answered, failed) => this.run({ send, answered, failed, isIdempotent: true, isNoGrant: true }))
  }

  /** As `within`, for what must not be done twice. A broken connection rejects with the driver's error. */
  once<T>(send: (client: Redis) => Promise<T>): Promise<T> {
    return new Promise((answered, failed) => this.run({ send, answered, failed, isIdempotent: false }))
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stage = 'down'
    this.#waiting.clear()
    for (const detach of this.#detach) detach()
    for (const timer of this.#timers) timer.cancel()
    this.#deadlines.close()
    if (!this.#settings.isOurs) return
    // Late errors of a socket that is being closed are nobody's business.
    this.#client?.on('error', () => {})
    this.#client?.disconnect()
  }

  #send<T>(attempt: Attempt<T>): void {
    if (attempt.isOver) return
    if (this.#client !== undefined && this.#maySend(attempt)) {
      attempt.send(this.#client, this.#heard, error => this.#onFailure(attempt, error))
      return
    }
    if (this.#isEnded(this.#client)) return attempt.fail(new ClosedError('given Redis client'))
    this.#waiting.add(attempt as unknown as Attempt<never>)
    this.#open().catch((error: unknown) => {
      this.#waiting.delete(attempt as unknown as Attempt<never>)
      attempt.fail(error)
    })
    // What was refused on connecting may be allowed by now.
    if (this.#isRefused && this.#client !== undefined) this.#examine(this.#client)
  }

  #maySend<T>(attempt: Attempt<T>): boolean {
    return this.#stage === 'granting' || (this.#stage === 'answering' && attempt.isNoGrant)
  }

  #onFailure<T>(attempt: Attempt<T>, error: unknown): void {
    if (error instanceof HoldfastError) return attempt.fail(error)
    // The server forgot its scripts, so it ran nothing.
    if (isUnknownScript(error)) return this.#reload(attempt)
    if (isReplyError(error)) return attempt.fail(refusal(error))
    this.#lastError = withoutCommand(error)
    if (isDemoted(error)) this.#onDemoted()
    if (!attempt.isIdempotent) return attempt.fail(error)
    // The connection broke, or the server cannot answer just now. The pause keeps the loop off a server that says so at once.
    // It holds the process: the user's client may be about to end, which does not, and somebody awaits what comes of it.
    this.#later(() => this.#send(attempt), RETRY_MS, { background: false })
  }

  // Another one is the master, if not for ever: when this one is again, it has not been for long. A link that Sentinel did not cut (it
  // does where it can) leads there only when it is made anew.
  #onDemoted(): void {
    const client = this.#client
    if (client === undefined || this.#stage === 'down' || isCluster(client)) return
    this.#stage = 'down'
    if (this.#settings.isOurs && isBehindSentinel(client)) client.disconnect(true)
    else this.#examine(client)
  }

  #reload<T>(attempt: Attempt<T>): void {
    if (this.#client === undefined) return
    this.#load(this.#client).then(
      () => this.#send(attempt),
      (error: unknown) => this.#onFailure(attempt, error),
    )
  }

  async #load(client: Redis): Promise<void> {
    await Promise.all(this.#settings.scripts().map(({ lua }) => client.script('LOAD', lua)))
  }

  // The time of a command is over: what its caller is told.
  #giveUp<T>(attempt: Attempt<T>): Error {
    this.#waiting.delete(attempt as unknown as Attempt<never>)
    if (this.#isClosed) return new ClosedError('redis backend')
    const error = unavailable(this.#address, attempt.timeoutMs, this.#lastError)
    if (attempt.timeoutMs < this.commandTimeoutMs) this.#doubt(attempt)
    else this.#onSilence(error)
    return error
  }

  // One at a time: it is answered, or runs out of the usual time, and then the link is silent.
  #doubt<T>(attempt: Attempt<T>): void {
    if (this.#isProbing) return
    this.#isProbing = true
    const settled = (): void => void (this.#isProbing = false)
    this.ask(client => attempt.probe(client)).then(settled, settled)
  }

  #onSilence(error: Error): void {
    this.#isSilent = true
    this.#settings.onHealth({ kind: 'suspended', cause: error })
    this.#tell('silent', this.#lastError)
    if (this.#client?.status !== 'ready') return
    if (!this.#settings.isOurs) return this.#askAnew(this.#client)
    // A link that is silent for so long may be half open: only a new one can tell.
    if (this.#settings.onSilence !== undefined) return this.#settings.onSilence(this.#client)
    this.#stage = 'down'
    // Once for each link: until it is closed, each further call would leave the driver one more listener at its socket.
    if (this.#cutEpoch === this.#epoch) return
    this.#cutEpoch = this.#epoch
    this.#client.disconnect(true)
  }

  // What the user's client was asked on connecting may have got lost in it, as a driver that is cut again and again does: then nothing
  // would ever be sent.
  #askAnew(client: Redis): void {
    const isDue = this.#settings.clock.monotonicMs() - this.#examinedAtMs >= this.commandTimeoutMs / 2
    if (this.#stage === 'down' && isDue) this.#examine(client)
  }

  #open(): Promise<void> {
    this.#opening ??= this.#openOnce()
    return this.#opening
  }

  async #openOnce(): Promise<void> {
    const client = await this.#settings.open()
    if (this.#isClosed) {
      if (this.#settings.isOurs) client.disconnect()
      return
    }
    this.#client = client
    this.#address = addressOf(client)
    this.#listen(client, 'ready', () => this.#examine(client))
    this.#listen(client, 'close', () => this.#onClose())
    // Ours never ends but by `close`; after that of the user's nobody would be there to answer.
    this.#listen(client, 'end', () => this.#failWaiting(new ClosedError('given Redis client')))
    if (this.#isEnded(client)) return this.#failWaiting(new ClosedError('given Redis client'))
    // The driver prints errors that nobody listens to, and on the user's client that is the user's choice.
    if (this.#settings.isOurs || client.listenerCount('error') > 0)
      this.#listen(client, 'error', error => this.#onError(error))
    if (client.status === 'ready') this.#examine(client)
    // It goes on trying in the background; the caller's deadline decides for how long he waits.
    else if (client.status === 'wait') client.connect().catch((error: unknown) => this.#onError(error))
  }

  #listen(client: Redis, event: string, listener: (value: unknown) => void): void {
    client.on(event, listener)
    this.#detach.push(() => client.off(event, listener))
  }

  #isEnded(client: Redis | undefined): boolean {
    return !this.#settings.isOurs && client?.status === 'end'
  }

  #later(run: () => void, delayMs: number, options?: { readonly background: boolean }): void {
    const fired = (): void => {
      this.#timers.delete(timer)
      run()
    }
    const timer = this.#settings.clock.setTimer(fired, delayMs, options)
    this.#timers.add(timer)
  }

  #onError(error: unknown): void {
    this.#lastError = withoutCommand(error)
    if (isBadLogin(error)) this.#refuse(refusal(error))
  }

  #onClose(): void {
    this.#stage = 'down'
    this.#tell('lost', this.#lastError)
    this.#settings.onHealth({ kind: 'suspended', cause: this.#lastError })
  }

  #examine(client: Redis): void {
    const epoch = ++this.#epoch
    this.#examinedAtMs = this.#settings.clock.monotonicMs()
    this.#isRefused = false
    const isCurrent = (): boolean => epoch === this.#epoch && client.status === 'ready' && !this.#isClosed
    Promise.all([this.#settings.examine(client), this.#whyNotLoaded(client)]).then(
      ([facts, whyNotLoaded]) => {
        this.#facts = facts
        if (!isCurrent()) return
        if (this.#stage === 'down') this.#becomeUsable('answering')
        const refused = facts.refusal ?? whyNotLoaded
        if (refused !== undefined) return this.#refuse(refused)
        if (facts.holdBackMs <= 0) return this.#becomeUsable('granting')
        this.#tell('held-back', `${Math.ceil(facts.holdBackMs)} ms, since the server was replaced`)
        this.#later(() => isCurrent() && this.#becomeUsable('granting'), facts.holdBackMs)
      },
      (error: unknown) => {
        this.#lastError = withoutCommand(error)
        if (error instanceof HoldfastError) return this.#refuse(error)
        if (isReplyError(error)) return this.#refuse(refusal(error))
        const isElsewhere = isDemoted(error) && this.#settings.isOurs && isBehindSentinel(client)
        const again = (): void => (isElsewhere ? client.disconnect(true) : this.#examine(client))
        this.#later(() => isCurrent() && again(), EXAMINE_RETRY_MS)
      },
    )
  }

  // Who only reads may not load scripts, and needs none.
  async #whyNotLoaded(client: Redis): Promise<Error | undefined> {
    try {
      await this.#load(client)
      return undefined
    } catch (error) {
      if (isReplyError(error)) return refusal(error)
      throw error
    }
  }

  #becomeUsable(stage: 'answering' | 'granting'): void {
    this.#stage = stage
    this.#lastError = undefined
    this.#settings.onHealth({ kind: 'ready' })
    if (stage === 'granting') this.#tell('ready', undefined)
    for (const attempt of this.#takeWaiting()) this.#send(attempt)
  }

  #refuse(error: unknown): void {
    this.#isRefused = true
    this.#tell('refused', error)
    this.#failWaiting(error)
  }

  #failWaiting(error: unknown): void {
    for (const attempt of this.#takeWaiting()) attempt.fail(error)
  }

  #tell(event: ConnectionEvent['event'], cause: unknown): void {
    if (connectionEvent.isHeard) connectionEvent.publish({ event, server: this.#address, cause })
  }

  #takeWaiting(): readonly Attempt<never>[] {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return waiting
  }
}
