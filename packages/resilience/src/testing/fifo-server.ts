import type { Clock, Random } from '@holdfast/core'
import type { ServiceTimes } from './service-times.ts'

/** What a server is like from a time on. */
export interface CapacityPhase {
  readonly fromMs: number
  /** How many calls it serves side by side. @default as before */
  readonly servers?: number
  /** How fast: at 0.25 each call takes four times as long. @default as before */
  readonly speed?: number
}

/** As many calls at once as it has servers; the rest wait, first come first served, without a bound. */
export class FifoServer {
  readonly #clock: Clock
  readonly #random: Random
  readonly #times: ServiceTimes
  readonly #waiting: ((value: undefined) => void)[] = []
  #firstWaiting = 0
  #servers: number
  #speed = 1
  #busy = 0

  constructor(clock: Clock, random: Random, { servers, service }: { servers: number; service: ServiceTimes }) {
    this.#clock = clock
    this.#random = random
    this.#times = service
    this.#servers = servers
  }

  /** Calls in it, served and waiting. */
  get inside(): number {
    return this.#busy + this.#waiting.length - this.#firstWaiting
  }

  /** Serves one call. It does not know when its caller has gone. */
  serve(): Promise<undefined> {
    return new Promise(resolve => {
      if (this.#busy < this.#servers) this.#begin(resolve)
      else this.#waiting.push(resolve)
    })
  }

  change({ servers = this.#servers, speed = this.#speed }: Omit<CapacityPhase, 'fromMs'>): void {
    this.#servers = servers
    this.#speed = speed
    this.#beginWaiting()
  }

  #begin(resolve: (value: undefined) => void): void {
    this.#busy += 1
    this.#clock.setTimer(
      () => {
        this.#busy -= 1
        this.#beginWaiting()
        resolve(undefined)
      },
      this.#times.nextMs(this.#random) / this.#speed,
    )
  }

  #beginWaiting(): void {
    while (this.#busy < this.#servers) {
      const next = this.#waiting[this.#firstWaiting]
      if (next === undefined) return
      this.#firstWaiting += 1
      // The front is cut off when it is the greater part, so that a call costs the same however long the queue is.
      if (this.#firstWaiting > 1_024 && this.#firstWaiting * 2 > this.#waiting.length) {
        this.#waiting.splice(0, this.#firstWaiting)
        this.#firstWaiting = 0
      }
      this.#begin(next)
    }
  }
}
