import type { Deadline } from './deadline.ts'

/**
 * Renewals of one lease that are under way at once. The store counts by the one that it was asked for last, and its answer may be lost
 * or late: so an answer lets nobody hold for longer than what was sent after the question allows.
 */
export class RenewalOrder {
  readonly #unanswered = new Map<number, Deadline>()
  #sent = 0
  #answered = 0

  /** One is sent, and ends the lease at `deadline` if the store takes it. Answers its number, from 1. */
  sent(deadline: Deadline): number {
    this.#sent += 1
    this.#unanswered.set(this.#sent, deadline)
    return this.#sent
  }

  /** What is known once that number was answered with `deadline`; undefined when it says nothing, as a later one was answered before. */
  answered(renewal: number, deadline: Deadline): Deadline | undefined {
    if (renewal < this.#answered) return undefined
    this.#answered = renewal
    for (const earlier of this.#unanswered.keys()) if (earlier <= renewal) this.#unanswered.delete(earlier)
    let known = deadline
    for (const later of this.#unanswered.values()) if (later.remainingMs() < known.remainingMs()) known = later
    return known
  }
}
