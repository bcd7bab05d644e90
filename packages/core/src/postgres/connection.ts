import type { Pool, PoolClient } from 'pg'
import type { BackendHealth } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { ClosedError, HoldfastError } from '../errors.ts'
import type { EventPoint } from '../telemetry.ts'
import { eventPoint } from '../telemetry.ts'
import { CommandDeadline, TIME_IS_OVER } from './command-deadline.ts'
import { addressOf } from './driver.ts'
import { isBusy, isLost, isMissing, refusal, unanswered, unavailable, withoutSecrets } from './errors.ts'
import type { ServerFacts } from './server.ts'

const RETRY_MS = 20
const RETRY_MS_MAX = 250
const RECOVER_MS = 1_000

/** What a connection is made of. */
export interface ConnectionSettings {
  readonly clock: Clock
  readonly commandTimeoutMs: number
  /** Makes the driver's pool, or hands over the user's. */
  readonly open: () => Promise<Pool>
  /** Whether the pool is ours to end. */
  readonly isOurs: boolean
  /** Asks a server what it is, and sees to its tables; each time a connection was lost. */
  readonly prepare: (client: PoolClient) => Promise<ServerFacts>
  readonly onHealth: (health: BackendHealth) => void
}

/** What `holdfast:postgres.connection` carries. */
export interface ConnectionEvent {
  readonly event: 'ready' | 'refused' | 'lost' | 'silent'
  readonly server: string
  /** Why, where there is a reason. */
  readonly cause: unknown
}

const connectionEvent: EventPoint<ConnectionEvent> = eventPoint('postgres.connection')

/** How long a command may take, and whether it may be asked again. */
interface Patience {
  readonly timeoutMs: number
  readonly isOnce: boolean
}

/** Asks the server something, within so long. May be called again when the answer was lost. */
export type Ask<T> = (client: PoolClient, remainingMs: number) => Promise<T>

/**
 * A pool whose every command is answered, refused or given up by a deadline, whatever the link does.
 *
 * The driver alone gives no such promise: a query on a silent link stays pending for ever, and its connection goes back to the
 * pool as if nothing were.
 */
export class PostgresConnection {
  readonly commandTimeoutMs: number
  readonly #settings: ConnectionSettings
  readonly #commands = new Set<CommandDeadline>()
  // When each client was heard last: who was not heard since the link fell silent is not trusted.
  readonly #heardAtMs = new WeakMap<PoolClient, number>()
  #silentAtMs = -Infinity
  #opening: Promise<Pool> | undefined
  #preparing: Promise<void> | undefined
  #facts: ServerFacts | undefined
  #address = 'the given address'
  #lastError: unknown
  #recovery: Timer | undefined
  #isClosed = false
  #isProbing = false

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
    this.commandTimeoutMs = settings.commandTimeoutMs
  }

  get guarantee(): 'advisory' | 'lease' {
    return this.#facts?.guarantee ?? 'advisory'
  }

  get address(): string {
    return this.#address
  }

  get lastError(): unknown {
    return this.#lastError
  }

  /** The driver's pool, for a connection beside it. */
  pool(): Promise<Pool> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  /** Asks, and asks again while the connection breaks or another transaction is in the way, until the deadline. */
  within<T>(ask: Ask<T>): Promise<T> {
    return this.#run(ask, { timeoutMs: this.commandTimeoutMs, isOnce: false })
  }

  /**
   * As `within`, for what must not be done twice: it is asked once, as soon as there is a connection. That a time shorter than
   * `commandTimeoutMs` is over says little of the link, so that is asked in the usual time.
   */
  once<T>(ask: Ask<T>, timeoutMs: number): Promise<T> {
    return this.#run(ask, { timeoutMs, isOnce: true })
  }

  async #run<T>(ask: Ask<T>, patience: Patience): Promise<T> {
    if (this.#isClosed) throw new ClosedError('postgres backend')
    const deadline = new CommandDeadline(this.#settings.clock, patience.timeoutMs)
    this.#commands.add(deadline)
    try {
      return await this.#persist(ask, deadline, patience)
    } finally {
      deadline.cancel()
      this.#commands.delete(deadline)
    }
  }

  /** The link is known to be gone: the server is asked anew what it is before the next command. */
  lost(error: unknown): void {
    this.#onLoss('lost', error)
  }

  /** Ends what is under way, and the pool if it is ours. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#recovery?.cancel()
    for (const deadline of this.#commands) deadline.expire()
    if (this.#settings.isOurs) await (await this.#opening?.catch(ignore))?.end()
  }

  async #persist<T>(ask: Ask<T>, deadline: CommandDeadline, patience: Patience): Promise<T> {
    let wasMissing = false
    let wasAsked = false
    const asking: Ask<T> = (client, remainingMs) => {
      wasAsked = patience.isOnce
      return ask(client, remainingMs)
    }
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(RETRY_MS_MAX, 2 * pauseMs)) {
      try {
        await this.#prepared(deadline)
        return await this.#attempt(asking, deadline)
      } catch (error) {
        if (this.#isClosed) throw new ClosedError('postgres backend')
        if (deadline.isOver) throw this.#giveUp(patience)
        if (error instanceof HoldfastError) throw this.#refused(error)
        if (isMissing(error) && !wasMissing) {
          // Somebody dropped the tables: they are made anew, once. Nothing was done.
          wasMissing = true
          this.#preparing = undefined
          continue
        }
        // Another command asked what the server is, and its time is over: this one asks anew.
        if (error !== TIME_IS_OVER) this.#note(error)
        if (wasAsked) throw unanswered(this.#address, error)
        await deadline.pause(pauseMs)
      }
      if (deadline.isOver) throw this.#isClosed ? new ClosedError('postgres backend') : this.#unavailable(patience)
    }
  }

  // Throws what will not change by itself.
  #note(error: unknown): void {
    if (isLost(error)) return this.#onLoss('lost', error)
    if (!isBusy(error)) throw this.#refused(refusal(error))
    this.#lastError = withoutSecrets(error)
  }

  #prepared(deadline: CommandDeadline): Promise<void> {
    this.#preparing ??= this.#prepare(deadline)
    return deadline.race(this.#preparing)
  }

  async #prepare(deadline: CommandDeadline): Promise<void> {
    try {
      this.#facts = await this.#attempt(this.#settings.prepare, deadline)
    } catch (error) {
      this.#preparing = undefined
      throw error
    }
    this.#lastError = undefined
    this.#recovery?.cancel()
    this.#settings.onHealth({ kind: 'ready' })
    this.#tell('ready', undefined)
  }

  async #attempt<T>(ask: Ask<T>, deadline: CommandDeadline): Promise<T> {
    const client = await this.#take(deadline)
    try {
      const answer = await deadline.race(ask(client, deadline.remainingMs()))
      this.#giveBack(client)
      return answer
    } catch (error) {
      if (deadline.isOver || isLost(error)) client.release(true)
      else this.#giveBack(client)
      throw error
    }
  }

  async #take(deadline: CommandDeadline): Promise<PoolClient> {
    const pool = await deadline.race(this.pool())
    for (;;) {
      if (pool.ending) throw new ClosedError('given PostgreSQL pool')
      const client = await deadline.race(connected(pool), late => this.#giveBack(late))
      if ((this.#heardAtMs.get(client) ?? Infinity) > this.#silentAtMs) return client
      client.release(true)
    }
  }

  #giveBack(client: PoolClient): void {
    this.#heardAtMs.set(client, this.#settings.clock.monotonicMs())
    letGo(client)
  }

  // The time of a command is over, and nothing had said no: the link is silent, if it was long enough.
  #giveUp(patience: Patience): Error {
    const error = this.#unavailable(patience)
    if (patience.timeoutMs < this.commandTimeoutMs) {
      this.#probe()
      return error
    }
    this.#silentAtMs = this.#settings.clock.monotonicMs()
    this.#onLoss('silent', this.#lastError ?? error)
    return error
  }

  #unavailable({ timeoutMs }: Patience): Error {
    return unavailable(this.#address, timeoutMs, this.#lastError)
  }

  // One at a time: it is answered, or runs out of the usual time, and then the link is silent.
  #probe(): void {
    if (this.#isProbing) return
    this.#isProbing = true
    const settled = (): void => void (this.#isProbing = false)
    this.within(client => client.query('SELECT 1')).then(settled, settled)
  }

  #refused(error: HoldfastError): HoldfastError {
    this.#tell('refused', error)
    return error
  }

  #onLoss(event: 'lost' | 'silent', error: unknown): void {
    if (this.#isClosed) return
    const wasUsable = this.#preparing !== undefined
    this.#lastError = withoutSecrets(error)
    this.#preparing = undefined
    this.#settings.onHealth({ kind: 'suspended', cause: this.#lastError })
    if (wasUsable) this.#tell(event, this.#lastError)
    this.#recover()
  }

  // In the background, so that `health` tells of the server's return also when nobody asks for anything.
  #recover(): void {
    this.#recovery?.cancel()
    this.#recovery = this.#settings.clock.setTimer(() => {
      if (this.#isClosed || this.#preparing !== undefined) return
      this.within(client => client.query('SELECT 1')).catch(() => this.#isClosed || this.#recover())
    }, RECOVER_MS)
  }

  async #open(): Promise<Pool> {
    try {
      const pool = await this.#settings.open()
      this.#address = addressOf(pool)
      return pool
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }

  #tell(event: ConnectionEvent['event'], cause: unknown): void {
    if (connectionEvent.isHeard) connectionEvent.publish({ event, server: this.#address, cause })
  }
}

// While a client is ours the pool does not listen, and an error that nobody hears ends the process. Seen: the server ended the
// connection in the packet in which it had accepted it, before a promise could have told of the client.
export function connected(pool: Pool): Promise<PoolClient> {
  return new Promise((resolve, reject) => {
    pool.connect((error, client) => {
      if (client === undefined) return reject(error ?? new Error('the pool has no client'))
      resolve(client.on('error', ignore))
    })
  })
}

/** Gives a client back that `connected` brought. One that is of no use any more is ended. */
export function letGo(client: PoolClient, isUsable = true): void {
  if (isUsable) client.off('error', ignore)
  client.release(!isUsable)
}

function ignore(): undefined {}
