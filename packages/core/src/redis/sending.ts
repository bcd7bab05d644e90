import type { Redis } from 'ioredis'
import type { CommandDeadlines, Pending } from './deadlines.ts'

/** One command on its way: it settles once, by its answer or by its deadline. */
export class Sending<T> {
  readonly send: (client: Redis) => Promise<T>
  /** Whether it may be sent again when its connection broke before the answer. */
  readonly isIdempotent: boolean
  readonly #settle: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void }
  readonly #deadlines: CommandDeadlines
  readonly #pending: Pending
  #isOver = false

  constructor(
    command: { readonly send: (client: Redis) => Promise<T>; readonly isIdempotent: boolean },
    settle: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void },
    limit: { readonly deadlines: CommandDeadlines; readonly onExpiry: () => unknown },
  ) {
    this.send = command.send
    this.isIdempotent = command.isIdempotent
    this.#settle = settle
    this.#deadlines = limit.deadlines
    this.#pending = limit.deadlines.start(() => this.reject(limit.onExpiry()))
  }

  get isOver(): boolean {
    return this.#isOver
  }

  resolve(value: T): void {
    if (!this.#end()) return
    this.#settle.resolve(value)
  }

  reject(error: unknown): void {
    if (!this.#end()) return
    this.#settle.reject(error)
  }

  #end(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#deadlines.settle(this.#pending)
    return true
  }
}
