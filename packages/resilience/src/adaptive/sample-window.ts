/** How much a window needs before anything is concluded from it. */
const WINDOW = Object.freeze({ msMin: 100, bases: 2, samplesMin: 50, slowMs: 2_000, slowSamplesMin: 10, msMax: 10_000 })

/** What was seen of calls since the limit was looked at last. It is filled in place: nothing is allocated for a call. */
export class SampleWindow {
  sinceMs: number
  /** Calls that succeeded, and how long they took together. */
  successes = 0
  sumMs = 0
  /** Calls that timed out, or were refused further on. */
  drops = 0
  /** Calls that the limit itself refused. */
  refused = 0
  /** The most calls in flight at once. */
  inFlightMax = 0

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs
  }

  get samples(): number {
    return this.successes + this.drops
  }

  get avgMs(): number {
    return this.sumMs / this.successes
  }

  get refusedRatio(): number {
    return this.refused / (this.refused + this.samples)
  }

  reset(nowMs: number, inFlight: number): void {
    this.sinceMs = nowMs
    this.successes = 0
    this.sumMs = 0
    this.drops = 0
    this.refused = 0
    this.inFlightMax = inFlight
  }

  /**
   * Whether there is enough to go by. It has to be longer than calls take, or it shows those alone that were fast; where calls are
   * few, it waits for them.
   *
   * @param baseMs how long a call takes; 0 where nobody knows.
   */
  isFull(nowMs: number, baseMs: number): boolean {
    const { samples } = this
    if (samples < WINDOW.slowSamplesMin) return false
    const elapsedMs = nowMs - this.sinceMs
    if (elapsedMs >= Math.max(WINDOW.slowMs, WINDOW.bases * baseMs)) return true
    return samples >= WINDOW.samplesMin && elapsedMs >= Math.max(WINDOW.msMin, WINDOW.bases * baseMs)
  }

  /** Whether so few calls came for so long that what was seen at first says nothing of now: with more it had been full before. */
  isStale(nowMs: number, baseMs: number): boolean {
    return nowMs - this.sinceMs > Math.max(WINDOW.msMax, 10 * baseMs)
  }
}
