import { PRIORITIES } from '../call.ts'
import { COHORTS, LEVELS } from './priority-level.ts'

// How much of the counts is kept from one step to the next: about two seconds of calls count.
const KEPT = 0.95

/**
 * The level below which calls are refused so that a given ratio of those that come is: by how many came of each priority lately,
 * with cohorts of one priority taken as even.
 */
export class ShedLevel {
  readonly #seen: number[] = PRIORITIES.map(() => 0)
  #level = 0

  /** 0: nothing is refused. */
  get current(): number {
    return this.#level
  }

  saw(tier: number): void {
    this.#seen[tier] = (this.#seen[tier] ?? 0) + 1
  }

  /** Every 100 ms. */
  set(refuseRatio: number): void {
    this.#level = refuseRatio === 0 ? 0 : this.#levelFor(refuseRatio)
    for (const [tier, count] of this.#seen.entries()) this.#seen[tier] = count * KEPT
  }

  #levelFor(refuseRatio: number): number {
    const total = this.#seen.reduce((sum, count) => sum + count, 0)
    let left = refuseRatio * total
    for (const [tier, count] of this.#seen.entries()) {
      if (left < count) return Math.floor((tier + left / count) * COHORTS)
      left -= count
    }
    return total === 0 ? 0 : LEVELS - 1
  }
}
