import type { Clock } from '@holdfast/core'

/** Something that waits for its turn. */
interface Waiting {
  readonly start: () => void
  next: Waiting | undefined
  isGone: boolean
}

// How much the newest turn counts for how long a turn takes.
const NEWEST = 0.1
// One turn counts for at most so many times what they took lately, or for so long where that is more: one that stood for seconds, or
// a machine that slept, says nothing of those that come. Where turns have become as long as that, a few of them say so.
const TIMES_MAX = 10
const ONE_TURN_MS_MAX = 50

/**
 * Starts one thing in each turn of the event loop, first come, first served.
 *
 * Work that is begun in the callback of its own request keeps the loop from reading the next requests, so a queue builds up where nobody
 * sees it, and a refusal cannot leave before the work in front of it is done. Here the queue is ours: it is known how long it is, and
 * the loop reads and refuses between any two.
 */
export class TurnQueue {
  readonly #clock: Clock
  readonly #nextTurn: (run: () => void) => void
  #first: Waiting | undefined
  #last: Waiting | undefined
  #length = 0
  #turnMs = 0
  #startedMs: number | undefined

  /** @param nextTurn for tests: calls back in the next turn of the loop. */
  constructor(clock: Clock, nextTurn: (run: () => void) => void = run => void setImmediate(run)) {
    this.#clock = clock
    this.#nextTurn = nextTurn
  }

  get length(): number {
    return this.#length
  }

  /** How long what is added now would wait, in milliseconds: by how many stand before it, and how long turns took lately. */
  get waitMs(): number {
    return this.#length * this.#turnMs
  }

  /** Calls `start` in a turn of its own. @returns takes it out, if it has not started. */
  add(start: () => void): () => void {
    const waiting: Waiting = { start, next: undefined, isGone: false }
    if (this.#last === undefined) this.#first = waiting
    else this.#last.next = waiting
    this.#last = waiting
    this.#length += 1
    if (this.#startedMs === undefined) {
      this.#startedMs = this.#clock.monotonicMs()
      this.#nextTurn(() => this.#turn())
    }
    return () => {
      if (waiting.isGone) return
      waiting.isGone = true
      this.#length -= 1
    }
  }

  #turn(): void {
    const nowMs = this.#clock.monotonicMs()
    const tookMs = nowMs - (this.#startedMs ?? nowMs)
    const countsMs = Math.min(tookMs, Math.max(ONE_TURN_MS_MAX, TIMES_MAX * this.#turnMs))
    this.#turnMs += NEWEST * (countsMs - this.#turnMs)
    const waiting = this.#take()
    if (waiting === undefined) {
      this.#startedMs = undefined
      return
    }
    this.#startedMs = nowMs
    // Before it starts: what it throws must not stop the queue.
    this.#nextTurn(() => this.#turn())
    waiting.start()
  }

  #take(): Waiting | undefined {
    for (let waiting = this.#first; waiting !== undefined; waiting = waiting.next) {
      this.#first = waiting.next
      if (waiting.next === undefined) this.#last = undefined
      if (waiting.isGone) continue
      waiting.isGone = true
      this.#length -= 1
      return waiting
    }
    return undefined
  }
}

const queues = new WeakMap<Clock, TurnQueue>()

/** The queue that all policies of a clock share: there is one event loop. */
export function turnQueueOf(clock: Clock): TurnQueue {
  const known = queues.get(clock)
  if (known !== undefined) return known
  const queue = new TurnQueue(clock)
  queues.set(clock, queue)
  return queue
}
