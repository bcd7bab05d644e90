import type { Clock, Timer } from '../clock.ts'

/** A connection that was silent for this part of the session's timeout is given up, so that the rest is left for another server. */
const SILENCE_RATIO = 1 / 2
const SECOND_LOOK_MS = 20

/**
 * Calls `onSilent` when nothing was heard on a connection for half the session's timeout. The driver pings after a third of it.
 *
 * A stall of the event loop is not silence: what came meanwhile has not been read yet. So whoever looks overdue is looked at
 * again, after the sockets had their turn.
 */
export class Watchdog {
  readonly #clock: Clock
  readonly #onSilent: (silentMs: number) => void
  #heardMs = 0
  #silenceMsMax = Infinity
  #timer: Timer | undefined

  constructor(clock: Clock, onSilent: (silentMs: number) => void) {
    this.#clock = clock
    this.#onSilent = onSilent
  }

  start(sessionTimeoutMs: number): void {
    this.stop()
    this.#silenceMsMax = sessionTimeoutMs * SILENCE_RATIO
    this.heard()
    this.#lookIn(this.#silenceMsMax, false)
  }

  heard(): void {
    this.#heardMs = this.#clock.monotonicMs()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #lookIn(delayMs: number, isSecond: boolean): void {
    this.#timer = this.#clock.setTimer(() => this.#look(isSecond), delayMs)
  }

  #look(isSecond: boolean): void {
    const silentMs = this.#clock.monotonicMs() - this.#heardMs
    if (silentMs < this.#silenceMsMax) return this.#lookIn(this.#silenceMsMax - silentMs, false)
    if (!isSecond) return this.#lookIn(SECOND_LOOK_MS, true)
    this.stop()
    this.#onSilent(silentMs)
  }
}
