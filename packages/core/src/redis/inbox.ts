import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { InboxListener, WaitingInbox } from '../lease/waiting.ts'
import { isReplyError } from './errors.ts'
import { InboxListeners } from './inbox-listeners.ts'

const PROBE_MS = 60_000

/** Where the waiters of a lease store on Redis hear of hand-offs. */
export interface LeaseInbox extends WaitingInbox {
  /** Whether the server delivers to it, as far as is known here. */
  readonly isListening: boolean
  /** Makes it hear; a later call waits for the same. */
  listen(beside: Redis): Promise<void>
  close(): void
}

/**
 * The one channel on which this client hears of leases that are handed to it. Messages are hints that may be lost: each waiter
 * asks again by its own timer.
 */
export class Inbox implements LeaseInbox {
  /** Those who wait know themselves when to ask. */
  readonly trustMs: number = Infinity
  readonly #open: (beside: Redis) => Redis
  readonly #channel: string
  readonly #clock: Clock
  readonly #listeners = new InboxListeners()
  #client: Redis | undefined
  #opening: Promise<void> | undefined
  #isListening = false
  #isClosed = false
  #epoch = 0
  #heardAtMs = 0

  constructor(settings: { readonly open: (beside: Redis) => Redis; readonly channel: string; readonly clock: Clock }) {
    this.#open = settings.open
    this.#channel = settings.channel
    this.#clock = settings.clock
  }

  /** Whether the server delivers to it, as far as is known here. */
  get isListening(): boolean {
    return this.#isListening
  }

  /** Grows each time it had to be opened anew. */
  get epoch(): number {
    return this.#epoch
  }

  /** Opens the channel; a later call waits for the same. */
  listen(beside: Redis): Promise<void> {
    this.#opening ??= this.#listen(beside).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** Makes sure, once a minute at most, that it can hear: a connection that fell silent is like one for which there is no news. */
  probe(): void {
    const client = this.#client
    const nowMs = this.#clock.monotonicMs()
    if (!this.#isListening || client === undefined || nowMs - this.#heardAtMs < PROBE_MS) return
    this.#heardAtMs = nowMs
    client.ping().catch((error: unknown) => {
      // A refusal is an answer as well.
      if (!isReplyError(error)) client.disconnect(true)
    })
  }

  add(requestId: string, listener: InboxListener): void {
    this.#listeners.add(requestId, listener)
  }

  remove(requestId: string): void {
    this.#listeners.remove(requestId)
  }

  close(): void {
    this.#isClosed = true
    this.#isListening = false
    this.#listeners.clear()
    if (this.#client !== undefined) leave(this.#client)
  }

  async #listen(beside: Redis): Promise<void> {
    const client = this.#open(beside)
    this.#client = client
    client.on('error', () => {})
    client.on('message', (_channel: string, message: string) => this.#receive(message))
    client.on('close', () => {
      this.#isListening = false
    })
    // A connection that broke meanwhile becomes ready again.
    client.on('ready', () => void this.#subscribe(client).catch(() => undefined))
    try {
      await new Promise<void>((resolve, reject) => {
        client.once('close', () => reject(new Error('the connection that listens for hand-offs was closed')))
        void client.connect().then(() => this.#subscribe(client).then(resolve, reject), reject)
      })
    } catch (error) {
      // The next one who listens opens another: this one would go on connecting for ever.
      leave(client)
      throw error
    }
  }

  async #subscribe(client: Redis): Promise<void> {
    if (this.#isListening) return
    await client.subscribe(this.#channel)
    if (this.#isListening || this.#isClosed) return
    this.#isListening = true
    this.#heardAtMs = this.#clock.monotonicMs()
    this.#epoch += 1
    this.#listeners.tellGap()
  }

  #receive(message: string): void {
    this.#heardAtMs = this.#clock.monotonicMs()
    this.#listeners.receive(message)
  }
}

function leave(client: Redis): void {
  client.removeAllListeners()
  // Late errors of a socket that is being closed are nobody's business.
  client.on('error', () => {})
  client.disconnect()
}
