import type { Clock, Timer } from '../clock.ts'

const FOR_EVER_MS = 2_147_483_647

/** Those who wait for their turn. While there is one the process is held: somebody awaits it, perhaps without an end. */
export class WaitingRoom {
  readonly #clock: Clock
  readonly #wakes = new Set<() => void>()
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enter(wake: () => void): void {
    this.#wakes.add(wake)
    this.#timer ??= this.#clock.setTimer(() => undefined, FOR_EVER_MS, { background: false })
  }

  leave(wake: () => void): void {
    this.#wakes.delete(wake)
    if (this.#wakes.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  wakeAll(): void {
    for (const wake of [...this.#wakes]) wake()
  }
}
