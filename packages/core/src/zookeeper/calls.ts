import type { Clock, Timer } from '../clock.ts'
import type { OperationFailure } from './errors.ts'
import { CODE, OperationError } from './errors.ts'
import type { Operation } from './operations.ts'

const ERROR_CODE_OFFSET = 16
const STALL_MS = 50

/** The error code of a reply; 0 when the server did what it was asked. */
export function codeOf(frame: Buffer): number {
  return frame.readInt32BE(ERROR_CODE_OFFSET)
}

/** One operation, from being asked for until its promise settles. */
export interface OpenCall {
  readonly operation: Operation<unknown>
  readonly isSettled: boolean
  /** Whether it may have reached the server. */
  isSent: boolean
  /** Settles it by the frame of a reply. */
  answer(frame: Buffer): void
  fail(failure: OperationFailure, cause?: unknown): void
}

/** Something that has to settle in time. */
export type Timed = Pick<OpenCall, 'isSettled' | 'isSent' | 'fail'>

/** An `OpenCall` whose promise is `resolve`'s and `reject`'s. `deadlines` is told when it settles. */
export class Call<T> implements OpenCall {
  readonly operation: Operation<T>
  isSent = false
  isSettled = false
  readonly #deadlines: CallDeadlines | undefined
  readonly #resolve: (value: T) => void
  readonly #reject: (error: OperationError) => void

  constructor(
    operation: Operation<T>,
    deadlines: CallDeadlines | undefined,
    promise: { readonly resolve: (value: T) => void; readonly reject: (error: OperationError) => void },
  ) {
    this.operation = operation
    this.#deadlines = deadlines
    this.#resolve = promise.resolve
    this.#reject = promise.reject
  }

  answer(frame: Buffer): void {
    if (this.isSettled) return
    const code = codeOf(frame)
    if (code === CODE.sessionExpired) return this.fail({ kind: 'session-lost' })
    const isMissing = code === CODE.noNode && this.operation.isMissingAnswered === true
    if (code !== 0 && !isMissing) return this.fail({ kind: 'refused', code })
    const value = isMissing ? (undefined as T) : this.operation.decode(frame)
    this.#settle()
    this.#resolve(value)
  }

  fail(failure: OperationFailure, cause?: unknown): void {
    if (this.isSettled) return
    this.#settle()
    this.#reject(new OperationError(failure, cause === undefined ? undefined : { cause }))
  }

  #settle(): void {
    this.isSettled = true
    this.#deadlines?.settled()
  }
}

interface TimedCall {
  readonly call: Timed
  readonly dueMs: number
}

/**
 * Gives each call the same time. They share one timer, which stands while a call is open and holds the process for it: whoever
 * made the call awaits it.
 */
export class CallDeadlines {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #whyUnsent: () => unknown
  // In the order of their ends, for all have the same time.
  #queue: TimedCall[] = []
  #first = 0
  #open = 0
  #timer: Timer | undefined
  #lookAtMs = 0

  /** `whyUnsent` says what keeps calls from being sent. */
  constructor(clock: Clock, timeoutMs: number, whyUnsent: () => unknown) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#whyUnsent = whyUnsent
  }

  add(call: Timed): void {
    this.#forgetSettled()
    this.#queue.push({ call, dueMs: this.#clock.monotonicMs() + this.#timeoutMs })
    this.#open += 1
    if (this.#timer === undefined) this.#arm(this.#timeoutMs)
  }

  /** To be called once for each call that was added. */
  settled(): void {
    this.#open -= 1
    if (this.#open > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#queue = []
    this.#first = 0
  }

  #arm(delayMs: number, isSecond = false): void {
    this.#lookAtMs = this.#clock.monotonicMs() + delayMs
    this.#timer = this.#clock.setTimer(() => this.#look(isSecond), delayMs, { background: false })
  }

  #look(isSecond: boolean): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    // The loop stood still: the answers may lie in the socket, unread. By the second look they were read.
    if (!isSecond && nowMs - this.#lookAtMs > STALL_MS) return this.#arm(STALL_MS, true)
    for (;;) {
      this.#forgetSettled()
      const next = this.#queue[this.#first]
      if (next === undefined) return
      if (next.dueMs > nowMs) return this.#arm(next.dueMs - nowMs)
      if (next.call.isSent) next.call.fail({ kind: 'timed-out' })
      else next.call.fail({ kind: 'unsent' }, this.#whyUnsent())
    }
  }

  #forgetSettled(): void {
    while (this.#queue[this.#first]?.call.isSettled === true) this.#first += 1
    if (this.#first < 1_024) return
    this.#queue = this.#queue.slice(this.#first)
    this.#first = 0
  }
}
