import type { Clock, Timer } from '@holdfast/core'
import type { TimedEvent } from '@holdfast/core/testing'
import { EventHeap } from '@holdfast/core/testing'

// So often the process takes a real turn: for signals, and for whoever shows progress.
const EVENTS_PER_TURN = 5_000

/** Something that happens at a time, unless it was cancelled before. */
interface VirtualEvent extends TimedEvent, Timer {
  readonly run: () => void
  isCancelled: boolean
}

/**
 * Time that goes as fast as the machine can follow: from event to event. All that an event sets off, however long the chain of its
 * promises, has settled before the next one; of what really waits (sockets, files, Node's own timers) it knows nothing.
 */
export class VirtualClock implements Clock {
  readonly #heap = new EventHeap<VirtualEvent>()
  #nowMs = 0
  #order = 0

  monotonicMs(): number {
    return this.#nowMs
  }

  /** Begins with the year 2030. */
  wallMs(): number {
    return Date.UTC(2030, 0, 1) + this.#nowMs
  }

  setTimer(run: () => void, delayMs: number): Timer {
    const event: VirtualEvent = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      run,
      isCancelled: false,
      cancel: () => void (event.isCancelled = true),
    }
    this.#heap.push(event)
    return event
  }

  /** Lets time pass up to `untilMs`. Rejects with what an event throws. */
  runUntil(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let count = 0
      const step = (): void => {
        try {
          if (!this.#runNext(untilMs)) return resolve()
        } catch (error) {
          return reject(error as Error)
        }
        count += 1
        // A tick of its own comes after all microtasks, and costs a tenth of a turn.
        if (count % EVENTS_PER_TURN === 0) setImmediate(step)
        else queueMicrotask(() => process.nextTick(step))
      }
      setImmediate(step)
    })
  }

  #runNext(untilMs: number): boolean {
    for (let event = this.#heap.first; event !== undefined && event.atMs <= untilMs; event = this.#heap.first) {
      this.#heap.pop()
      if (event.isCancelled) continue
      this.#nowMs = event.atMs
      event.run()
      return true
    }
    this.#nowMs = untilMs
    return false
  }
}
