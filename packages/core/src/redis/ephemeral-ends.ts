import type { Clock, Timer } from '../clock.ts'
import { UnavailableError } from '../errors.ts'
import type { NextEnd } from './record-reads.ts'

/** A timer may fire a little early, and the server counts whole milliseconds. */
const SLACK_MS = 5
const RETRY_MS = 1_000

/** What an `EphemeralEnds` works with. */
export interface EphemeralEndParts {
  readonly clock: Clock
  readonly next: (afterMs: number | undefined) => Promise<NextEnd>
  /** Something has ended by its time. */
  readonly ended: () => void
}

/**
 * Notices that ephemeral records of a directory end by their time, of which the server says nothing by itself. It looks when the
 * next one is due, which for those that are kept by beats is once in a TTL.
 */
export class EphemeralEnds {
  readonly #parts: EphemeralEndParts
  #timer: Timer | undefined
  #dueMs = Number.POSITIVE_INFINITY
  /** Up to when all ends were noticed, by the server's clock. */
  #noticedMs: number | undefined
  #isLooking = false
  #isClosed = false

  constructor(parts: EphemeralEndParts) {
    this.#parts = parts
  }

  /** Looks after `delayMs`, unless it is going to look sooner. */
  lookIn(delayMs: number): void {
    const { clock } = this.#parts
    const dueMs = clock.monotonicMs() + delayMs + SLACK_MS
    if (this.#isClosed || dueMs >= this.#dueMs) return
    this.#timer?.cancel()
    this.#dueMs = dueMs
    this.#timer = clock.setTimer(() => void this.look(), delayMs + SLACK_MS)
  }

  async look(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#timer?.cancel()
    this.#dueMs = Number.POSITIVE_INFINITY
    try {
      while (await this.#hasEnded()) this.#parts.ended()
    } catch (error) {
      // Who may not look is not told.
      if (error instanceof UnavailableError) this.lookIn(RETRY_MS)
    }
    this.#isLooking = false
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  async #hasEnded(): Promise<boolean> {
    const { nowMs, endsAtMs } = await this.#parts.next(this.#noticedMs)
    if (this.#isClosed) return false
    this.#noticedMs = nowMs
    if (endsAtMs === undefined) return false
    if (endsAtMs <= nowMs) return true
    this.lookIn(endsAtMs - nowMs)
    return false
  }
}
