const RATIO_MAX = 0.97
const PROPORTIONAL = 0.2
const INTEGRAL = 0.05
// A stall of seconds is no reason to refuse for minutes.
const ERROR_MAX = 4

/**
 * Which ratio of calls to refuse, from how far a delay is from its target: a PI controller in its incremental form.
 *
 * @see Cinnamon, Uber's load shedder: PID settles where AIMD and CoDel's drops swing
 */
export class RefuseRatio {
  #ratio = 0
  #lastExcess = 0

  /** 0 to 0.97. */
  get current(): number {
    return this.#ratio
  }

  /** @param error (delay - target) / target, -1 or more; one step each 100 ms. */
  next(error: number): number {
    const bounded = Math.min(ERROR_MAX, Math.max(-1, error))
    // How a delay moves below its target is no reason for anything.
    const excess = Math.max(0, bounded)
    const step = PROPORTIONAL * (excess - this.#lastExcess) + INTEGRAL * bounded
    this.#lastExcess = excess
    this.#ratio = Math.min(RATIO_MAX, Math.max(0, this.#ratio + step))
    return this.#ratio
  }
}
