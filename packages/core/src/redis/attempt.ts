import type { Redis } from 'ioredis'
import type { CommandDeadlines, Expiring } from './deadlines.ts'

/** Something to ask the server, and what to do with the answer. */
export interface Command<T> {
  readonly send: (client: Redis) => Promise<T>
  readonly answered: (value: T) => void
  readonly failed: (error: unknown) => void
  /** Whether it may be sent again when its connection broke before the answer. */
  readonly isIdempotent: boolean
  /** Whether it may go while grants are held back, or not possible at all. @default false */
  readonly isNoGrant?: boolean
  /**
   * A shorter time than is usual, in milliseconds. That it is over says little of the link: `probe` is asked in the usual time.
   *
   * @default the connection's `commandTimeoutMs`
   */
  readonly timeoutMs?: number
  /** Something harmless to ask whoever was asked `send`. @default PING */
  readonly probe?: (client: Redis) => Promise<unknown>
}

/** One command on its way: it is over once, by its answer or by its deadline. */
export class Attempt<T> implements Expiring {
  previous: Expiring | undefined
  next: Expiring | undefined
  readonly timeoutMs: number
  readonly endsAtMs: number
  readonly #command: Command<T>
  readonly #deadlines: CommandDeadlines
  readonly #onExpiry: (expired: Attempt<T>) => unknown
  #isOver = false

  constructor(command: Command<T>, deadlines: CommandDeadlines, onExpiry: (expired: Attempt<T>) => unknown) {
    this.#command = command
    this.#deadlines = deadlines
    this.#onExpiry = onExpiry
    this.timeoutMs = command.timeoutMs ?? deadlines.timeoutMs
    this.endsAtMs = deadlines.next(this.timeoutMs)
    deadlines.add(this)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get isIdempotent(): boolean {
    return this.#command.isIdempotent
  }

  get isNoGrant(): boolean {
    return this.#command.isNoGrant === true
  }

  probe(client: Redis): Promise<unknown> {
    return this.#command.probe?.(client) ?? client.ping()
  }

  send(client: Redis, heard: () => void, failed: (error: unknown) => void): void {
    this.#command.send(client).then(value => {
      heard()
      if (this.#end()) this.#command.answered(value)
    }, failed)
  }

  fail(error: unknown): void {
    if (this.#end()) this.#command.failed(error)
  }

  expire(): void {
    this.fail(this.#onExpiry(this))
  }

  #end(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#deadlines.remove(this)
    return true
  }
}
