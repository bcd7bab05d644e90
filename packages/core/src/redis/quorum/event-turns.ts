/** Tells turns of the event loop apart: what one event leads to, promise reactions and all. */
export class EventTurns {
  #turn = 0
  #isUnderWay = false
  readonly #ends: (() => void)[] = []

  /** The number of this turn, greater than that of any before. */
  current(): number {
    if (!this.#isUnderWay) this.#begin()
    return this.#turn
  }

  /** Calls something when this turn is over. */
  atEnd(run: () => void): void {
    this.#ends.push(run)
  }

  #begin(): void {
    this.#turn += 1
    this.#isUnderWay = true
    // From inside a promise reaction `nextTick` runs when all reactions have run; from elsewhere it would run before them.
    queueMicrotask(() => process.nextTick(() => this.#end()))
  }

  #end(): void {
    this.#isUnderWay = false
    for (const run of this.#ends.splice(0)) run()
  }
}
