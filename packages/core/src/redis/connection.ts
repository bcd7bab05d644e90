import type { Redis } from 'ioredis'
import type { BackendHealth } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { ClosedError, HoldfastError } from '../errors.ts'
import { CommandDeadlines } from './deadlines.ts'
import { addressOf } from './driver.ts'
import { isReplyError, isUnknownScript, refusal, unavailable } from './errors.ts'
import type { Script } from './scripts/script.ts'
import { Sending } from './sending.ts'
import type { ServerFacts } from './server.ts'

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
  /** Asks a server what it is, each time it was connected to anew. */
  readonly examine: (client: Redis) => Promise<ServerFacts>
  readonly onHealth: (health: BackendHealth) => void
}

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
  #isUsable = false
  #isClosed = false
  #epoch = 0
  #facts: ServerFacts = { guarantee: 'advisory', holdBackMs: 0 }
  #lastError: unknown
  #onUsable: (() => void)[] = []
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

  /** Does something with the driver's client that may be done again, by the same deadline as a command. */
  within<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    return this.#start(work, true)
  }

  /** As `within`, for what must not be done twice. A broken connection rejects with the driver's error. */
  once<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    return this.#start(work, false)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isUsable = false
    for (const detach of this.#detach) detach()
    this.#deadlines.close()
    if (this.#settings.isOurs) this.#client?.disconnect()
  }

  #start<T>(send: (client: Redis) => Promise<T>, isIdempotent: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) return reject(new ClosedError('redis backend'))
      const limit = { deadlines: this.#deadlines, onExpiry: () => this.#giveUp() }
      this.#attempt(new Sending({ send, isIdempotent }, { resolve, reject }, limit))
    })
  }

  // The time of a command is over: what its caller is told.
  #giveUp(): Error {
    if (this.#isClosed) return new ClosedError('redis backend')
    const error = unavailable(this.#address, this.commandTimeoutMs, this.#lastError)
    this.#settings.onHealth({ kind: 'suspended', cause: error })
    // A link that is silent for so long may be half open: only a new one can tell.
    if (this.#settings.isOurs && this.#client?.status === 'ready') {
      this.#isUsable = false
      this.#client.disconnect(true)
    }
    return error
  }

  #attempt<T>(sending: Sending<T>): void {
    if (sending.isOver) return
    const client = this.#client
    if (client === undefined || !this.#isUsable) return this.#whenUsable(sending)
    sending.send(client).then(
      (value) => sending.resolve(value),
      (error: unknown) => this.#onFailure(sending, error),
    )
  }

  #onFailure<T>(sending: Sending<T>, error: unknown): void {
    if (error instanceof HoldfastError) return sending.reject(error)
    if (isReplyError(error)) return sending.reject(refusal(error))
    this.#lastError = error
    if (!sending.isIdempotent) return sending.reject(error)
    // The connection broke, or the server cannot answer just now. The pause keeps the loop off a server that says so at once.
    this.#settings.clock.setTimer(() => this.#attempt(sending), RETRY_MS)
  }

  #whenUsable<T>(sending: Sending<T>): void {
    this.#onUsable.push(() => this.#attempt(sending))
    this.#open().catch((error: unknown) => sending.reject(error))
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
    // On the user's client the driver's own way with errors that nobody listens to is the user's choice.
    if (this.#settings.isOurs) this.#listen(client, 'error', (error) => (this.#lastError = error))
    if (client.status === 'ready') this.#examine(client)
    // It goes on trying in the background; the caller's deadline decides for how long he waits.
    else if (client.status === 'wait') client.connect().catch((error: unknown) => (this.#lastError = error))
  }

  #listen(client: Redis, event: string, listener: (value: unknown) => void): void {
    client.on(event, listener)
    this.#detach.push(() => client.off(event, listener))
  }

  #onClose(): void {
    this.#isUsable = false
    this.#settings.onHealth({ kind: 'suspended', cause: this.#lastError })
  }

  #examine(client: Redis): void {
    const epoch = ++this.#epoch
    const isCurrent = (): boolean => epoch === this.#epoch && client.status === 'ready' && !this.#isClosed
    this.#settings.examine(client).then(
      (facts) => {
        this.#facts = facts
        const go = (): void => {
          if (isCurrent()) this.#becomeUsable()
        }
        if (facts.holdBackMs <= 0) go()
        else this.#settings.clock.setTimer(go, facts.holdBackMs)
      },
      (error: unknown) => {
        this.#lastError = error
        if (isCurrent()) this.#settings.clock.setTimer(() => isCurrent() && this.#examine(client), EXAMINE_RETRY_MS)
      },
    )
  }

  #becomeUsable(): void {
    this.#isUsable = true
    this.#lastError = undefined
    this.#settings.onHealth({ kind: 'ready' })
    const waiting = this.#onUsable
    this.#onUsable = []
    for (const run of waiting) run()
  }
}

/** Runs a script on a client: by its name, or whole when the server does not know it. */
export async function evaluate(
  client: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    return await client.eval(script.lua, keys.length, ...keys, ...args)
  }
}
