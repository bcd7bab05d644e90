import type { Chained } from '../chain.ts'
import { Chain } from '../chain.ts'
import type { Clock, Timer } from '../clock.ts'

const STALL_MS = 50
const HITCH_MS = 5

/** Something that must be over by a time. */
export interface Expiring extends Chained<Expiring> {
  readonly endsAtMs: number
  /** How long it may take in all. @default what is usual */
  readonly timeoutMs?: number
  /** Called once its time is over, unless it was removed before. */
  expire(): void
}

/**
 * Ends commands whose time is over. They share one timer: a timer for each would cost more than the rest of what is done for a
 * command. Those that last equally long end in the order in which they came, so only the first of each such lane is looked at.
 */
export class CommandDeadlines {
  readonly timeoutMs: number
  readonly #clock: Clock
  readonly #usual = new Chain<Expiring>()
  readonly #others = new Map<number, Chain<Expiring>>()
  #timer: Timer | undefined
  #dueMs = 0
  #isSecondLook = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.timeoutMs = timeoutMs
  }

  /** When a command that starts now ends. */
  next(timeoutMs: number = this.timeoutMs): number {
    return this.#clock.monotonicMs() + timeoutMs
  }

  add(command: Expiring): void {
    const { timeoutMs = this.timeoutMs } = command
    this.#laneOf(timeoutMs).add(command)
    if (this.#timer === undefined) return this.#arm(timeoutMs)
    // A second look is near, and must come after the answers that are waiting to be read.
    if (!this.#isSecondLook && command.endsAtMs < this.#dueMs) this.#arm(timeoutMs)
  }

  remove(command: Expiring): void {
    const { timeoutMs } = command
    if (timeoutMs === undefined || timeoutMs === this.timeoutMs) this.#usual.delete(command)
    else this.#others.get(timeoutMs)?.delete(command)
  }

  /** Expires all at once and leaves no timer. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const lane of this.#lanes()) for (const command of lane.members()) this.#expire(lane, command)
  }

  #laneOf(timeoutMs: number): Chain<Expiring> {
    if (timeoutMs === this.timeoutMs) return this.#usual
    const known = this.#others.get(timeoutMs)
    if (known !== undefined) return known
    const lane = new Chain<Expiring>()
    this.#others.set(timeoutMs, lane)
    return lane
  }

  #lanes(): readonly Chain<Expiring>[] {
    return [this.#usual, ...this.#others.values()]
  }

  // In the background: the driver's own socket or reconnect timer holds the process while a command waits.
  #arm(delayMs: number, isSecondLook = false): void {
    this.#timer?.cancel()
    this.#dueMs = this.#clock.monotonicMs() + delayMs
    this.#isSecondLook = isSecondLook
    this.#timer = this.#clock.setTimer(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    // The loop, or the whole process, stood still: the answers may lie in the socket, unread. By the second look they were read,
    // however late that is: a loop that is always late must not wait for ever.
    const lateMs = nowMs - this.#dueMs
    if (!this.#isSecondLook && lateMs > HITCH_MS) return this.#arm(lateMs > STALL_MS ? STALL_MS : HITCH_MS, true)
    this.#isSecondLook = false
    let nextMs = Infinity
    for (const lane of this.#lanes()) {
      while (lane.first !== undefined && lane.first.endsAtMs <= nowMs) this.#expire(lane, lane.first)
      if (lane.first !== undefined) nextMs = Math.min(nextMs, lane.first.endsAtMs)
    }
    for (const [timeoutMs, lane] of this.#others) if (lane.first === undefined) this.#others.delete(timeoutMs)
    // What was expired may have led to other commands, which have set the timer.
    if (nextMs < Infinity && (this.#timer === undefined || nextMs < this.#dueMs)) this.#arm(nextMs - nowMs)
  }

  #expire(lane: Chain<Expiring>, command: Expiring): void {
    lane.delete(command)
    command.expire()
  }
}
