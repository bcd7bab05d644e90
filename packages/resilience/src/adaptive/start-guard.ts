/** How many calls are the first ones, how many are judged together, and how much longer those take. */
const FIRST = 4
const BLOCK = 6
const SLOWER = 2
/** Fewer calls in flight are no matter. */
const IN_FLIGHT_MIN = 20
/** A call is in its place when it is off by less than this part of what is in flight. */
const PLACE_RATIO = 1 / 8

/**
 * Sees a queue before there is a base to compare with. Two things together tell it: calls take far longer than the first ones did,
 * and they end in the order in which they came, although many are in flight. Of calls that are served side by side, one either
 * overtakes many others or takes as long as they do.
 */
export class StartGuard {
  #firstSumMs = 0
  #count = 0
  #blockSumMs = 0
  #blockOff = 0

  /** How long the first calls took. */
  get firstMs(): number {
    return this.#firstSumMs / Math.min(FIRST, this.#count)
  }

  /**
   * Whether calls queue, as far as this one tells.
   *
   * @param entered how manieth it was to come, and `left` to leave.
   */
  sees(durationMs: number, entered: number, left: number, inFlight: number): boolean {
    this.#count += 1
    if (this.#count <= FIRST) {
      this.#firstSumMs += durationMs
      return false
    }
    this.#blockSumMs += durationMs
    this.#blockOff += Math.abs(entered - left)
    if ((this.#count - FIRST) % BLOCK !== 0) return false
    const isSlow = this.#blockSumMs / BLOCK > SLOWER * this.firstMs
    const isInOrder = this.#blockOff / BLOCK < PLACE_RATIO * inFlight
    this.#blockSumMs = 0
    this.#blockOff = 0
    return isSlow && isInOrder && inFlight >= IN_FLIGHT_MIN
  }
}
