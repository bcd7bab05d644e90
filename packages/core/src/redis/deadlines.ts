import type { Clock, Timer } from '../clock.ts'

/** A command that waits for its answer. */
export interface Pending {
  readonly expire: () => void
  endsAtMs: number
}

/**
 * Gives every command the same time to be answered. All share one timer: a timer for each would cost more than the rest of what
 * we do for a command.
 */
export class CommandDeadlines {
  readonly timeoutMs: number
  readonly #clock: Clock
  // In order of ending, since all last equally long.
  readonly #pending = new Set<Pending>()
  #timer: Timer | undefined

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.timeoutMs = timeoutMs
  }

  /** `expire` is called when the time is over, unless `settle` was called before. */
  start(expire: () => void): Pending {
    const pending = { expire, endsAtMs: this.#clock.monotonicMs() + this.timeoutMs }
    this.#pending.add(pending)
    if (this.#timer === undefined) this.#arm(this.timeoutMs)
    return pending
  }

  settle(pending: Pending): void {
    this.#pending.delete(pending)
  }

  /** Expires all at once and leaves no timer. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const pending of [...this.#pending]) this.#expire(pending)
  }

  #arm(delayMs: number): void {
    // A command is awaited by somebody, so its end must come even if nothing else holds the process; without commands the timer
    // fires once more and is not set again.
    this.#timer = this.#clock.setTimer(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    for (const pending of this.#pending) {
      if (pending.endsAtMs > nowMs) return this.#arm(pending.endsAtMs - nowMs)
      this.#expire(pending)
    }
  }

  #expire(pending: Pending): void {
    this.#pending.delete(pending)
    pending.expire()
  }
}
