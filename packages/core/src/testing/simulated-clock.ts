import type { Clock, Timer } from '../clock.ts'
import { InvariantError } from '../errors.ts'
import { promisesSettled } from './promises-settled.ts'

/** Where a simulated clock starts. */
export interface SimulatedClockOptions {
  /** @default 1000 */
  readonly monotonicMs?: number
  /** @default 2030-01-01T00:00:00Z */
  readonly wallMs?: number
}

const WALL_MS_DEFAULT = Date.UTC(2030, 0, 1)
// As Node does it: a longer delay is cut.
const DELAY_MS_MAX = 2_147_483_647
// More in one `advance` than any test needs: a timer that re-arms itself without delay would spin for ever.
const TIMERS_PER_ADVANCE_MAX = 1_000_000

class SimulatedTimer implements Timer {
  readonly run: () => void
  readonly atMs: number
  readonly isBackground: boolean
  readonly #cancel: (timer: SimulatedTimer) => void

  constructor(timer: Pick<SimulatedTimer, 'run' | 'atMs' | 'isBackground'>, cancel: (timer: SimulatedTimer) => void) {
    this.run = timer.run
    this.atMs = timer.atMs
    this.isBackground = timer.isBackground
    this.#cancel = cancel
  }

  cancel(): void {
    this.#cancel(this)
  }
}

/**
 * A clock that a test moves. Nothing happens by itself: timers run in `advance` alone, in the order of their times (of one
 * time: in the order they were set), and between two of them every promise that can settle does.
 */
export class SimulatedClock implements Clock {
  readonly #timers = new Set<SimulatedTimer>()
  #monotonicMs: number
  #wallMs: number
  #advancing: Promise<void> = Promise.resolve()

  constructor(options: SimulatedClockOptions = {}) {
    this.#monotonicMs = options.monotonicMs ?? 1_000
    this.#wallMs = options.wallMs ?? WALL_MS_DEFAULT
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  wallMs(): number {
    return this.#wallMs
  }

  setTimer(run: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer {
    if (Number.isNaN(delayMs)) throw new InvariantError('A timer was set with a delay that is not a number.')
    const atMs = this.#monotonicMs + Math.min(Math.max(delayMs, 0), DELAY_MS_MAX)
    const isBackground = options?.background ?? true
    const timer = new SimulatedTimer({ run, atMs, isBackground }, cancelled => this.#timers.delete(cancelled))
    this.#timers.add(timer)
    return timer
  }

  /** How many timers are set: 0 when nothing was left behind. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** How many of them would hold the process. */
  get holdingTimers(): number {
    return [...this.#timers].filter(timer => !timer.isBackground).length
  }

  /**
   * Lets `ms` pass. Both clocks step from timer to timer; promises settle before the first, between two and after the last.
   * Calls that overlap follow one another. Rejects with what a timer throws.
   */
  advance(ms: number): Promise<void> {
    const advanced = this.#advancing.then(() => this.#advance(ms))
    this.#advancing = advanced.catch(() => undefined)
    return advanced
  }

  /** The wall clock is set forward or back; nothing else moves. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  /** The machine sleeps: the wall clock goes on, the monotonic clock and every timer stand still. */
  sleepMachine(ms: number): void {
    this.#wallMs += ms
  }

  /** The event loop hangs: both clocks go on, and no timer runs before the next `advance`. */
  stall(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }

  async #advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms
    await promisesSettled()
    for (let count = 0; ; count += 1) {
      const timer = this.#next(untilMs)
      if (timer === undefined) break
      if (count === TIMERS_PER_ADVANCE_MAX) throw new InvariantError(`More than ${count} timers ran within ${ms} ms.`)
      this.#timers.delete(timer)
      this.#moveTo(timer.atMs)
      timer.run()
      await promisesSettled()
    }
    this.#moveTo(untilMs)
  }

  #next(untilMs: number): SimulatedTimer | undefined {
    let first: SimulatedTimer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue
      if (first === undefined || timer.atMs < first.atMs) first = timer
    }
    return first
  }

  // Never back: after a stall, timers are due whose time has passed.
  #moveTo(atMs: number): void {
    const stepMs = Math.max(0, atMs - this.#monotonicMs)
    this.#monotonicMs += stepMs
    this.#wallMs += stepMs
  }
}
