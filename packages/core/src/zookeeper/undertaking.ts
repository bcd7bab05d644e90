import { onAbort } from '../abort.ts'
import type { CallDeadlines, Timed } from './calls.ts'
import type { OperationFailure } from './errors.ts'
import { OperationError } from './errors.ts'

/** What a caller asked for once, that takes several operations and has the time of one. */
export class Undertaking implements Timed {
  /** Whether a write was sent that may have been applied, or may yet be. */
  isSent = false
  isSettled = false
  readonly #deadlines: CallDeadlines
  #reject: (reason: unknown) => void = () => {}

  constructor(deadlines: CallDeadlines) {
    this.#deadlines = deadlines
  }

  /**
   * Settles as `work` does, or when its time is over, or when the signal aborts; then the work goes on until it next calls
   * `checkWanted`. Rejects with `OperationError` when its time is over: `timed-out` while a write is under way, else `unsent`.
   */
  run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject
      this.#deadlines.add(this)
      const stopListening = onAbort(signal, reason => this.#settle(() => reject(reason)))
      work()
        .then(
          result => this.#settle(() => resolve(result)),
          (error: unknown) => this.#settle(() => reject(error)),
        )
        .finally(stopListening)
    })
  }

  /** @throws {OperationError} once its caller was answered: nothing more may be sent. */
  checkWanted(): void {
    if (this.isSettled) throw new OperationError({ kind: 'unsent' })
  }

  fail(failure: OperationFailure, cause?: unknown): void {
    this.#settle(() => this.#reject(new OperationError(failure, { cause })))
  }

  #settle(how: () => void): void {
    if (this.isSettled) return
    this.isSettled = true
    this.#deadlines.settled()
    how()
  }
}
