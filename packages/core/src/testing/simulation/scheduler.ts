import type { Timer } from '../../clock.ts'
import { InvariantError } from '../../errors.ts'
import { promisesSettled } from '../promises-settled.ts'
import { EventHeap } from './event-heap.ts'
import type { TimedEvent } from './event-heap.ts'

/** More than any run needs: something that re-arms itself without delay would spin for ever. */
const EVENTS_MAX = 5_000_000

/** Something that happens at a time, unless it was cancelled before. */
interface ScheduledEvent extends TimedEvent {
  /** Undefined once cancelled. */
  run: (() => void) | undefined
}

/**
 * True time, and all that is to happen. One event runs at a time, and every promise that can settle does before the next: so the order
 * of events alone, which the seed decides, says how the code of all processes interleaves.
 */
export class Scheduler {
  readonly #events = new EventHeap<ScheduledEvent>()
  #nowMs = 0
  #set = 0
  #ran = 0

  /** Since the start, by no clock of the simulated world: by the truth. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** How many events ran. */
  get ran(): number {
    return this.#ran
  }

  after(delayMs: number, run: () => void): Timer {
    const event: ScheduledEvent = { atMs: this.#nowMs + Math.max(0, delayMs), order: (this.#set += 1), run }
    this.#events.push(event)
    return { cancel: () => void (event.run = undefined) }
  }

  /** Lets time pass until `isDone`, but to `untilMs` at most. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await promisesSettled()
    while (!isDone()) {
      const event = this.#events.first
      if (event === undefined || event.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return
      }
      this.#events.pop()
      if (event.run === undefined) continue
      this.#ran += 1
      if (this.#ran > EVENTS_MAX) throw new InvariantError(`More than ${EVENTS_MAX} events happened in one simulation.`)
      this.#nowMs = event.atMs
      event.run()
      await promisesSettled()
    }
  }
}
