import type { Meter, Quota } from './meter.ts'

const SLICES = 10
// The slice that is under way is a part of the window too.
const COUNTERS = SLICES + 1
// State: the tick of the newest counter, their total, the counters.
const TOTAL = 1
const FIRST = 2
const TICKETS = 2 ** 30

/**
 * At most `limit` in **any** window of `periodMs`, wherever it begins: for those who count strictly, where GCRA and a fixed window
 * let up to twice the limit into the worst one. It counts in slices of a tenth of the period and gives a permit back when the
 * slice that it was taken in has left the window as a whole: never early, and up to a tenth of a period late.
 *
 * A counter of two windows, weighted, would be smaller, and lets up to twice the limit in when the calls of the window before came
 * at its end. A log of all calls would be exact, and grows with the limit.
 */
export class SlidingWindow implements Meter {
  readonly quota: Quota
  readonly width: number = FIRST + COUNTERS
  readonly #sliceMs: number

  constructor(quota: Quota) {
    this.quota = quota
    this.#sliceMs = quota.periodMs / SLICES
  }

  take(state: Float64Array, at: number, cost: number, nowMs: number): number {
    const tick = this.#advance(state, at, nowMs)
    const total = state[at + TOTAL] as number
    if (total + cost > this.quota.limit) return -this.#waitMs(state, at, total + cost - this.quota.limit, nowMs)
    count(state, at, tick, cost)
    return tick % TICKETS
  }

  undo(state: Float64Array, at: number, cost: number, ticket: number): void {
    const newest = state[at] as number
    const ticksAgo = ((newest % TICKETS) - ticket + TICKETS) % TICKETS
    if (ticksAgo < COUNTERS) count(state, at, newest - ticksAgo, -cost)
  }

  isWhole(state: Float64Array, at: number, nowMs: number): boolean {
    this.#advance(state, at, nowMs)
    return state[at + TOTAL] === 0
  }

  look(state: Float64Array, at: number, nowMs: number): { readonly remaining: number; readonly resetMs: number } {
    this.#advance(state, at, nowMs)
    const total = state[at + TOTAL] as number
    return {
      remaining: Math.max(0, this.quota.limit - total),
      resetMs: total === 0 ? 0 : this.#waitMs(state, at, total, nowMs),
    }
  }

  adopt(state: Float64Array, at: number, previous: Meter, nowMs: number): void {
    if (!(previous instanceof SlidingWindow) || previous.#sliceMs === this.#sliceMs) return
    const newest = previous.#advance(state, at, nowMs)
    const counts = ticksOf(newest).map(tick => ({
      // The last moment at which they may have been taken.
      atMs: Math.min(nowMs, (tick + 1) * previous.#sliceMs),
      taken: state[at + FIRST + (tick % COUNTERS)] as number,
    }))
    state.fill(0, at, at + this.width)
    const tick = this.#advance(state, at, nowMs)
    for (const { atMs, taken } of counts) {
      const takenIn = Math.floor(atMs / this.#sliceMs)
      if (tick - takenIn < COUNTERS) count(state, at, takenIn, taken)
    }
  }

  /** Lets go of what has left the window. @returns the tick that it is now. */
  #advance(state: Float64Array, at: number, nowMs: number): number {
    const newest = state[at] as number
    const tick = Math.floor(nowMs / this.#sliceMs)
    const behind = tick - newest
    if (behind <= 0) return newest
    state[at] = tick
    if (behind >= COUNTERS) {
      state.fill(0, at + TOTAL, at + FIRST + COUNTERS)
      return tick
    }
    for (let left = newest + 1; left <= tick; left++) {
      const index = at + FIRST + (left % COUNTERS)
      state[at + TOTAL] = (state[at + TOTAL] as number) - (state[index] as number)
      state[index] = 0
    }
    return tick
  }

  /** Until so many permits are back. */
  #waitMs(state: Float64Array, at: number, needed: number, nowMs: number): number {
    let back = 0
    for (const tick of ticksOf(state[at] as number)) {
      back += state[at + FIRST + (tick % COUNTERS)] as number
      if (back >= needed) return Math.max(Number.MIN_VALUE, (tick + COUNTERS) * this.#sliceMs - nowMs)
    }
    return Infinity
  }
}

function count(state: Float64Array, at: number, tick: number, cost: number): void {
  const index = at + FIRST + (tick % COUNTERS)
  state[index] = (state[index] as number) + cost
  state[at + TOTAL] = (state[at + TOTAL] as number) + cost
}

/** Those that have a counter, the oldest first. */
function ticksOf(newest: number): number[] {
  return Array.from(
    { length: Math.min(COUNTERS, newest + 1) },
    (_, index) => newest + index + 1 - Math.min(COUNTERS, newest + 1),
  )
}
