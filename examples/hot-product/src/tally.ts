import type { Visit } from './visitors.ts'

/** Visits of some time. */
export class Tally {
  served = 0
  refused = 0
  /** Refused without a word on when to come again. */
  rude = 0
  failed = 0
  readonly #tookMs: number[] = []

  add(visit: Visit): void {
    switch (visit.kind) {
      case 'served':
        this.served += 1
        this.#tookMs.push(visit.tookMs)
        break
      case 'refused':
        this.refused += 1
        if (!visit.isPolite) this.rude += 1
        break
      case 'failed':
        this.failed += 1
        break
    }
  }

  get all(): number {
    return this.served + this.refused + this.failed
  }

  /** What all but the slowest hundredth took at most, in milliseconds; undefined when nobody was served. */
  get slowMs(): number | undefined {
    return this.#tookMs.toSorted((a, b) => a - b)[Math.floor(this.#tookMs.length * 0.99)]
  }
}
