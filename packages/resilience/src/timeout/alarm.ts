import type { WheelEntry } from '../timer-wheel.ts'

/** An entry of a timer wheel that calls a function. */
export class Alarm implements WheelEntry {
  tick = -1
  before: WheelEntry | undefined = undefined
  after: WheelEntry | undefined = undefined
  hasRung = false
  readonly #ring: () => void

  constructor(ring: () => void) {
    this.#ring = ring
  }

  fire(): void {
    this.hasRung = true
    this.#ring()
  }
}
