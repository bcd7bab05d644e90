import type { Clock, Timer } from '@holdfast/core'
import { reportListenerError } from '@holdfast/core'

const TICK_MS = 10
const SLOTS = 512
// How long an empty wheel may go on holding the process: no timer is set further ahead.
const TICKS_AHEAD_MAX = 5

/** Something that is due at a time, unless it is taken off before. It stands in one wheel at most, and in that once. */
export interface WheelEntry {
  /** @internal Below 0 while it stands in no wheel: that is what it begins with. */
  tick: number
  /** @internal */
  before: WheelEntry | undefined
  /** @internal */
  after: WheelEntry | undefined
  /** What it throws is reported, and keeps no other entry from firing. */
  fire(): void
}

const wheels = new WeakMap<Clock, TimerWheel>()

/** The wheel of a clock: all timeouts of a process share one timer. */
export function wheelOf(clock: Clock): TimerWheel {
  const known = wheels.get(clock)
  if (known !== undefined) return known
  const wheel = new TimerWheel(clock)
  wheels.set(clock, wheel)
  return wheel
}

/**
 * Timers for what most often does not happen. To add one and to take it off costs a few steps, where a timer of Node costs
 * half a microsecond. An entry fires up to 10 ms late, and never early.
 *
 * @see Varghese & Lauck, Hashed and Hierarchical Timing Wheels (1987), scheme 6
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #slots: (WheelEntry | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  #count = 0
  #doneTick = 0
  #timer: Timer | undefined
  #timerTick = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many entries stand in it. */
  get count(): number {
    return this.#count
  }

  /** @param nowMs the clock, just read: what it is behind, the entry may be late besides. */
  add(entry: WheelEntry, nowMs: number, delayMs: number): void {
    const tick = Math.floor((nowMs + delayMs) / TICK_MS) + 1
    if (this.#count === 0) this.#doneTick = Math.floor(nowMs / TICK_MS)
    entry.tick = Math.max(tick, this.#doneTick + 1)
    const slot = entry.tick % SLOTS
    const first = this.#slots[slot]
    entry.before = undefined
    entry.after = first
    if (first !== undefined) first.before = entry
    this.#slots[slot] = entry
    this.#count += 1
    if (entry.tick < this.#timerTick) this.#wakeBy(entry.tick, nowMs)
  }

  /** Does nothing for an entry that has fired, or was removed. */
  remove(entry: WheelEntry): void {
    if (entry.tick < 0) return
    if (entry.before === undefined) this.#slots[entry.tick % SLOTS] = entry.after
    else entry.before.after = entry.after
    if (entry.after !== undefined) entry.after.before = entry.before
    entry.tick = -1
    entry.before = undefined
    entry.after = undefined
    this.#count -= 1
  }

  // It holds the process: somebody awaits what the entry ends. To come too early is no harm.
  #wakeBy(latestTick: number, nowMs: number): void {
    const tick = Math.min(latestTick, Math.floor(nowMs / TICK_MS) + TICKS_AHEAD_MAX)
    if (tick >= this.#timerTick) return
    this.#timer?.cancel()
    this.#timerTick = tick
    this.#timer = this.#clock.setTimer(() => this.#turn(), Math.ceil(tick * TICK_MS - nowMs), { background: false })
  }

  #turn(): void {
    this.#timer = undefined
    this.#timerTick = Infinity
    const nowMs = this.#clock.monotonicMs()
    const nowTick = Math.floor(nowMs / TICK_MS)
    // After a long stall each slot is looked at once.
    const from = Math.max(this.#doneTick + 1, nowTick - SLOTS + 1)
    this.#doneTick = nowTick
    for (let tick = from; tick <= nowTick; tick++) this.#fire(tick % SLOTS, nowTick)
    if (this.#count > 0) this.#wakeBy(this.#nextTick(nowTick), nowMs)
  }

  // What stands in a slot may be due a round later: then the wheel wakes once too often.
  #nextTick(nowTick: number): number {
    for (let tick = nowTick + 1; tick < nowTick + TICKS_AHEAD_MAX; tick++) {
      if (this.#slots[tick % SLOTS] !== undefined) return tick
    }
    return nowTick + TICKS_AHEAD_MAX
  }

  // What is due is listed first: what fires may add entries, and take others off or put them in again.
  #fire(slot: number, nowTick: number): void {
    let entry = this.#slots[slot]
    if (entry === undefined) return
    const due: WheelEntry[] = []
    for (; entry !== undefined; entry = entry.after) if (entry.tick <= nowTick) due.push(entry)
    for (const each of due) {
      if (each.tick < 0 || each.tick > nowTick) continue
      this.remove(each)
      try {
        each.fire()
      } catch (error) {
        reportListenerError('resilience.timerWheel', error)
      }
    }
  }
}
