import type { Clock } from '../clock.ts'
import { WAIT_MS } from '../options.ts'

/** Wakes the one who waits. What rings while nobody listens is heard by the next who does. */
export class Bell {
  readonly #clock: Clock
  #isRung = false
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    this.#isRung = true
    this.#wake()
  }

  /** From now on whoever listens gets this error; the first one counts. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.ring()
  }

  /** Throws what it failed with. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Resolves when it has rung since it was last heard, or after `ms`; rejects once it failed. Holds the process: somebody waits. */
  async heard(ms: number = WAIT_MS.max): Promise<void> {
    if (!this.#isRung) await this.#silence(ms)
    this.#isRung = false
    this.check()
  }

  #silence(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#clock.setTimer(resolve, ms, { background: false })
      this.#wake = () => {
        this.#wake = () => {}
        timer.cancel()
        resolve()
      }
    })
  }
}
