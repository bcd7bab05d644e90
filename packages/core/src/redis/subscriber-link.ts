import type { Redis } from 'ioredis'
import type { Clock, Timer } from '../clock.ts'
import { isReplyError, refusal, withoutCommand } from './errors.ts'

/** A connection that has said nothing for so long is asked whether it is there, … */
const PING_MS = 10_000
/** … and is given up when it does not answer anything within so long. */
const PATIENCE_MS = 5_000

/** What becomes of a link. Nothing is told after `over`, nor after `close`. */
export interface LinkEvents {
  readonly up: () => void
  readonly message: (channel: string, text: string) => void
  readonly over: (cause: unknown) => void
}

/** One connection to listen on, from its opening until it closes or falls silent. It does not come back. */
export class SubscriberLink {
  readonly #clock: Clock
  readonly #events: LinkEvents
  #client: Redis | undefined
  #isOver = false
  #heardAtMs = 0
  #timer: Timer | undefined
  #lastError: unknown = new Error('The connection that listens was closed.')

  constructor(clock: Clock, events: LinkEvents) {
    this.#clock = clock
    this.#events = events
  }

  /** `open` makes a client of the driver that is not connected yet, and does not connect again by itself. */
  async start(open: () => Promise<Redis>): Promise<void> {
    try {
      const client = await open()
      if (this.#isOver) return
      this.#client = client
      client.on('error', error => (this.#lastError = withoutCommand(error)))
      client.on('close', () => this.#end(this.#lastError))
      client.on('message', (channel, text) => {
        this.#hear()
        if (!this.#isOver) this.#events.message(channel, text)
      })
      await this.#answered(client.connect())
      if (this.#isOver) return
      this.#hear()
      this.#arm()
      this.#events.up()
    } catch (error) {
      this.#end(error)
    }
  }

  /**
   * Resolves once the server sends what is published there; stays pending when the link is over before.
   *
   * @throws {RefusedError} `HF_REFUSED`
   */
  subscribe(channel: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#client === undefined || this.#isOver) return
      this.#answered(this.#client.subscribe(channel)).then(
        () => {
          this.#hear()
          if (!this.#isOver) resolve()
        },
        (error: unknown) => (isReplyError(error) ? reject(refusal(error)) : this.#end(error)),
      )
    })
  }

  unsubscribe(channel: string): void {
    this.#client?.unsubscribe(channel).catch(() => undefined)
  }

  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#client?.disconnect()
  }

  #end(cause: unknown): void {
    if (this.#isOver) return
    this.close()
    this.#events.over(cause)
  }

  #hear(): void {
    this.#heardAtMs = this.#clock.monotonicMs()
  }

  #arm(): void {
    if (this.#isOver) return
    const silentMs = this.#clock.monotonicMs() - this.#heardAtMs
    this.#timer = this.#clock.setTimer(() => void this.#probe(), Math.max(0, PING_MS - silentMs))
  }

  async #probe(): Promise<void> {
    if (this.#client !== undefined && this.#clock.monotonicMs() - this.#heardAtMs >= PING_MS) {
      try {
        await this.#answered(this.#client.ping())
      } catch (error) {
        // A refusal is an answer as well.
        if (!isReplyError(error)) return this.#end(error)
      }
      this.#hear()
    }
    this.#arm()
  }

  #answered<T>(answer: Promise<T>): Promise<T> {
    const silent = (): void => this.#end(new Error(`The connection that listens said nothing for ${PATIENCE_MS} ms.`))
    const timer = this.#clock.setTimer(silent, PATIENCE_MS)
    return answer.finally(() => timer.cancel())
  }
}
