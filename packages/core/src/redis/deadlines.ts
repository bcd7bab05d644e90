import type { Clock, Timer } from '../clock.ts'

const STALL_MS = 50

/** Something that must be over by a time. */
export interface Expiring {
  readonly endsAtMs: number
  /** Called once its time is over, unless it was removed before. */
  expire(): void
}

/**
 * Ends commands whose time is over. All last equally long and share one timer: a timer for each would cost more than the rest of
 * what is done for a command.
 */
export class CommandDeadlines {
  readonly timeoutMs: number
  readonly #clock: Clock
  // In order of ending.
  readonly #pending = new Set<Expiring>()
  #timer: Timer | undefined
  #dueMs = 0

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.timeoutMs = timeoutMs
  }

  /** When a command that starts now ends. */
  next(): number {
    return this.#clock.monotonicMs() + this.timeoutMs
  }

  add(command: Expiring): void {
    this.#pending.add(command)
    if (this.#timer === undefined) this.#arm(this.timeoutMs)
  }

  remove(command: Expiring): void {
    this.#pending.delete(command)
  }

  /** Expires all at once and leaves no timer. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const command of [...this.#pending]) this.#expire(command)
  }

  // In the background: the driver's own socket or reconnect timer holds the process while a command waits.
  #arm(delayMs: number, isSecond = false): void {
    this.#dueMs = this.#clock.monotonicMs() + delayMs
    this.#timer = this.#clock.setTimer(() => this.#look(isSecond), delayMs)
  }

  #look(isSecond: boolean): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    // The loop, or the whole process, stood still: the answers may lie in the socket, unread. By the second look they were read,
    // however late that is: a loop that is always late must not wait for ever.
    if (!isSecond && nowMs - this.#dueMs > STALL_MS) return this.#arm(STALL_MS, true)
    for (const command of this.#pending) {
      if (command.endsAtMs > nowMs) return this.#arm(command.endsAtMs - nowMs)
      this.#expire(command)
    }
  }

  #expire(command: Expiring): void {
    this.#pending.delete(command)
    command.expire()
  }
}
