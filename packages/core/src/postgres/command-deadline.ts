import type { Clock, Timer } from '../clock.ts'

const STALL_MS = 50

/** What `CommandDeadline.race` rejects with when the time is over. */
export const TIME_IS_OVER: Error = new Error('the time of the command is over')

/** How long one command may take, with all its attempts. Its timer holds the process: whoever gave the command awaits it. */
export class CommandDeadline {
  readonly #clock: Clock
  readonly #ended = new Set<() => void>()
  #timer: Timer | undefined
  #dueMs = 0
  #isOver = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#arm(timeoutMs, false)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  remainingMs(): number {
    return this.#isOver ? 0 : Math.max(0, this.#dueMs - this.#clock.monotonicMs())
  }

  /** Settles as `work` does, or rejects with `TIME_IS_OVER`. What `work` brings after that goes to `late`. */
  race<T>(work: Promise<T>, late: (value: T) => void = () => {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.#onEnd(() => reject(TIME_IS_OVER))
      work.then(value => (this.#isOver ? late(value) : resolve(value)), reject).finally(stop)
    })
  }

  /** Waits so long; not longer than the deadline. */
  pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#clock.setTimer(
        () => {
          stop()
          resolve()
        },
        ms,
        { background: false },
      )
      const stop = this.#onEnd(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** Ends it now, as if the time were over. */
  expire(): void {
    this.#isOver = true
    this.cancel()
    for (const run of [...this.#ended]) run()
    this.#ended.clear()
  }

  /** The command is done: leaves no timer. */
  cancel(): void {
    this.#timer?.cancel()
  }

  #arm(delayMs: number, isSecond: boolean): void {
    this.#dueMs = this.#clock.monotonicMs() + delayMs
    this.#timer = this.#clock.setTimer(() => this.#look(isSecond), delayMs, { background: false })
  }

  #look(isSecond: boolean): void {
    // The loop stood still: the answer may lie in the socket, unread. By the second look it was read.
    if (!isSecond && this.#clock.monotonicMs() - this.#dueMs > STALL_MS) return this.#arm(STALL_MS, true)
    this.expire()
  }

  #onEnd(run: () => void): () => void {
    if (this.#isOver) {
      run()
      return () => {}
    }
    this.#ended.add(run)
    return () => this.#ended.delete(run)
  }
}
