import type { Clock } from '@holdfast/core'
import { PRIORITIES } from '../call.ts'

/** Something that waits for its turn. */
interface Waiting {
  readonly start: () => void
  readonly sinceMs: number
  next: Waiting | undefined
  isGone: boolean
}

/** Those of one priority, first come, first served. */
interface Line {
  first: Waiting | undefined
  last: Waiting | undefined
  length: number
}

// How much the newest turn counts for how long a turn takes.
const NEWEST = 0.1
// One turn counts for at most so many times what they took lately, or for so long where that is more: one that stood for seconds, or
// a machine that slept, says nothing of those that come. Where turns have become as long as that, a few of them say so.
const TIMES_MAX = 10
const ONE_TURN_MS_MAX = 50
// Who has waited for so long goes before those of higher priority: they could come for ever.
const PATIENCE_MS = 500

/**
 * Starts one thing in each turn of the event loop: higher priorities first, and of one priority first come, first served.
 *
 * Work that is begun in the callback of its own request keeps the loop from reading the next requests, so a queue builds up where nobody
 * sees it, and a refusal cannot leave before the work in front of it is done. Here the queue is ours: it is known how long it is, and
 * the loop reads and refuses between any two.
 */
export class TurnQueue {
  readonly #clock: Clock
  readonly #nextTurn: (run: () => void) => void
  readonly #lines: readonly Line[] = PRIORITIES.map(() => ({ first: undefined, last: undefined, length: 0 }))
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

  /** How long all that is there now will take, in milliseconds, by how long turns took lately. */
  get waitMs(): number {
    return this.#length * this.#turnMs
  }

  /** How long what is added now would wait, in milliseconds: only what is not of lower priority goes before it. */
  waitMsOf(tier: number): number {
    let before = 0
    for (let higher = tier; higher < this.#lines.length; higher += 1) before += this.#lines[higher]?.length ?? 0
    return before * this.#turnMs
  }

  /** Calls `start` in a turn of its own. @returns takes it out, if it has not started. */
  add(tier: number, start: () => void): () => void {
    const sinceMs = this.#clock.monotonicMs()
    const waiting: Waiting = { start, sinceMs, next: undefined, isGone: false }
    const line = this.#lines[tier] as Line
    if (line.last === undefined) line.first = waiting
    else line.last.next = waiting
    line.last = waiting
    line.length += 1
    this.#length += 1
    if (this.#startedMs === undefined) {
      this.#startedMs = sinceMs
      this.#nextTurn(() => this.#turn())
    }
    return () => {
      if (waiting.isGone) return
      this.#leave(line, waiting)
    }
  }

  #turn(): void {
    const nowMs = this.#clock.monotonicMs()
    const tookMs = nowMs - (this.#startedMs ?? nowMs)
    const countsMs = Math.min(tookMs, Math.max(ONE_TURN_MS_MAX, TIMES_MAX * this.#turnMs))
    this.#turnMs += NEWEST * (countsMs - this.#turnMs)
    const waiting = this.#take(nowMs)
    if (waiting === undefined) {
      this.#startedMs = undefined
      return
    }
    this.#startedMs = nowMs
    // Before it starts: what it throws must not stop the queue.
    this.#nextTurn(() => this.#turn())
    waiting.start()
  }

  #take(nowMs: number): Waiting | undefined {
    let next: Line | undefined
    for (const line of this.#lines) {
      const first = firstOf(line)
      if (first === undefined) continue
      next = line
      if (nowMs - first.sinceMs > PATIENCE_MS) break
    }
    const waiting = next?.first
    if (next === undefined || waiting === undefined) return undefined
    next.first = waiting.next
    if (next.first === undefined) next.last = undefined
    this.#leave(next, waiting)
    return waiting
  }

  #leave(line: Line, waiting: Waiting): void {
    waiting.isGone = true
    line.length -= 1
    this.#length -= 1
  }
}

// Those who have left are dropped when their turn would come.
function firstOf(line: Line): Waiting | undefined {
  while (line.first?.isGone === true) line.first = line.first.next
  if (line.first === undefined) line.last = undefined
  return line.first
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
