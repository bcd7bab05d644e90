import type { Timer } from '@holdfast/core'
import type { Call } from '../call.ts'
import { isRejection } from '../errors.ts'
import type { Filter } from '../filter.ts'
import type { Next } from '../stage.ts'

/** What a hedged call goes by. */
export interface HedgeTerms {
  readonly delayMs: number
  readonly maxHedges: number
  readonly filter: Filter
  /** Asked when one more attempt is due. */
  mayHedge(attempt: number): boolean
  /** The call succeeded, by this attempt. */
  won(attempt: number): void
}

type Outcome =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly error: unknown }

// No timeout, so what is inside counts it as given up, and not as a failure of what was called.
const LOST = new DOMException('Another attempt of the same call was faster.', 'AbortError')

/**
 * Attempts of one call beside each other: the first that succeeds is the result, and the others are told to stop. An attempt that failed
 * is waited out only where another is under way; if all fail, it is as if the first one had been the only one.
 */
export class HedgedCall {
  readonly #call: Call
  readonly #next: Next
  readonly #terms: HedgeTerms
  readonly #underWay = new Set<Call>()
  #begun = 0
  #first: Outcome | undefined = undefined
  #isOver = false
  #timer: Timer | undefined = undefined
  #settle: (outcome: Outcome) => void = () => {}

  constructor(call: Call, next: Next, terms: HedgeTerms) {
    this.#call = call
    this.#next = next
    this.#terms = terms
  }

  run(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#settle = outcome => (outcome.kind === 'returned' ? resolve(outcome.value) : reject(outcome.error))
      this.#begin()
      this.#wait()
    })
  }

  #begin(): void {
    const attempt = this.#call.derive()
    attempt.attempt = this.#call.attempt + this.#begun
    this.#begun += 1
    this.#underWay.add(attempt)
    void this.#follow(attempt, this.#begun)
  }

  async #follow(attempt: Call, number: number): Promise<void> {
    let outcome: Outcome
    try {
      outcome = { kind: 'returned', value: await this.#next(attempt) }
    } catch (error) {
      outcome = { kind: 'threw', error }
    }
    attempt.end()
    this.#underWay.delete(attempt)
    if (this.#isOver) return
    if (number === 1) this.#first = outcome
    if (!this.#hasFailed(outcome)) this.#end(outcome, number)
    else if (this.#underWay.size === 0) this.#end(this.#first ?? outcome, undefined)
  }

  #hasFailed(outcome: Outcome): boolean {
    const { filter } = this.#terms
    if (outcome.kind === 'returned') return filter.isFailedResult(outcome.value)
    return isRejection(outcome.error) || this.#call.isCancelled || filter.isFailure(outcome.error)
  }

  #wait(): void {
    if (this.#isOver || this.#begun > this.#terms.maxHedges) return
    // It holds the process: somebody awaits the call.
    this.#timer = this.#call.clock.setTimer(() => this.#hedge(), this.#terms.delayMs, { background: false })
  }

  #hedge(): void {
    if (this.#call.isCancelled || !this.#terms.mayHedge(this.#begun + 1)) return
    this.#begin()
    this.#wait()
  }

  #end(outcome: Outcome, winner: number | undefined): void {
    this.#isOver = true
    this.#timer?.cancel()
    if (winner !== undefined && outcome.kind === 'returned') this.#terms.won(winner)
    this.#settle(outcome)
    for (const attempt of this.#underWay) {
      attempt.cancel(LOST)
      attempt.end()
    }
  }
}
