import type { Clock, Timer } from '../../clock.ts'
import type { SimulatedClock } from '../simulated-clock.ts'

/** A machine whose clocks run a little faster or slower than true time, and that can stand still: then nothing runs on it. */
export class SimulatedMachine implements Clock {
  readonly #world: SimulatedClock
  /** Milliseconds of this machine in one of true time. */
  readonly rate: number
  #standsUntilMs = 0

  constructor(world: SimulatedClock, rate: number) {
    this.#world = world
    this.rate = rate
  }

  monotonicMs(): number {
    return this.#world.monotonicMs() * this.rate
  }

  wallMs(): number {
    return this.monotonicMs()
  }

  setTimer(run: () => void, delayMs: number): Timer {
    let timer = this.#world.setTimer(() => {
      timer = this.#whenRunning(run)
    }, delayMs / this.rate)
    return { cancel: () => timer.cancel() }
  }

  /** Stands still for so long, in true time; its clocks go on. */
  stand(ms: number): void {
    this.#standsUntilMs = Math.max(this.#standsUntilMs, this.#world.monotonicMs() + ms)
  }

  /** Something that reaches the machine from outside. */
  receive(run: () => void): void {
    this.#whenRunning(run)
  }

  #whenRunning(run: () => void): Timer {
    const waitMs = this.#standsUntilMs - this.#world.monotonicMs()
    if (waitMs > 0) return this.#world.setTimer(() => this.#whenRunning(run), waitMs)
    run()
    return { cancel: () => {} }
  }
}
