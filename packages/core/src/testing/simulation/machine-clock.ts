import type { Clock, Timer } from '../../clock.ts'
import { InvariantError } from '../../errors.ts'
import type { Scheduler } from './scheduler.ts'

/** How a machine's clocks differ from the truth. */
export interface MachineClockSettings {
  /** Their milliseconds per true one: 1.004 runs fast. */
  readonly rate: number
  /** Where they start. */
  readonly monotonicMs: number
  readonly wallMs: number
}

/** As Node does it: a shorter delay is made so long, a longer one cut. */
const DELAY_MS_MIN = 1
const DELAY_MS_MAX = 2_147_483_647
/** Below what a clock shows. */
const ROUNDING_MS = 1e-6

/** The clocks and timers of one simulated machine. */
export class MachineClock implements Clock {
  readonly #scheduler: Scheduler
  readonly #rate: number
  readonly #deliver: (run: () => void) => void
  #monotonicMs: number
  #sinceMs: number
  #wallMs: number
  #isAsleep = false

  /** `deliver` runs what is due, once the machine can. */
  constructor(scheduler: Scheduler, settings: MachineClockSettings, deliver: (run: () => void) => void) {
    this.#scheduler = scheduler
    this.#rate = settings.rate
    this.#deliver = deliver
    this.#monotonicMs = settings.monotonicMs
    this.#sinceMs = scheduler.nowMs
    this.#wallMs = settings.wallMs - scheduler.nowMs * settings.rate
  }

  /** Milliseconds of these clocks per true one. */
  get rate(): number {
    return this.#rate
  }

  monotonicMs(): number {
    if (this.#isAsleep) return this.#monotonicMs
    return this.#monotonicMs + (this.#scheduler.nowMs - this.#sinceMs) * this.#rate
  }

  wallMs(): number {
    return this.#wallMs + this.#scheduler.nowMs * this.#rate
  }

  setTimer(run: () => void, delayMs: number): Timer {
    if (Number.isNaN(delayMs)) throw new InvariantError('A timer was set with a delay that is not a number.')
    const dueMs = this.monotonicMs() + Math.min(Math.max(delayMs, DELAY_MS_MIN), DELAY_MS_MAX)
    let event: Timer | undefined
    let isCancelled = false
    const look = (): void => {
      if (isCancelled) return
      const leftMs = dueMs - this.monotonicMs()
      // The machine slept: its timers stood still.
      if (leftMs > ROUNDING_MS) arm(leftMs)
      else run()
    }
    const arm = (leftMs: number): void => {
      event = this.#scheduler.after(leftMs / this.#rate, () => this.#deliver(look))
    }
    arm(dueMs - this.monotonicMs())
    return {
      cancel: () => {
        isCancelled = true
        event?.cancel()
      },
    }
  }

  /** The wall clock is set. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  /** The monotonic clock stands still, the wall clock goes on. */
  sleep(): void {
    this.#monotonicMs = this.monotonicMs()
    this.#isAsleep = true
  }

  wake(): void {
    if (!this.#isAsleep) return
    this.#isAsleep = false
    this.#sinceMs = this.#scheduler.nowMs
  }
}
