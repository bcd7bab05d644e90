/** How one call ended for its caller. */
export type CallEnd = 'good' | 'late' | 'refused' | 'failed'

/** Latencies of calls that were answered, in milliseconds from the arrival; NaN where there were none. */
export interface Latencies {
  readonly meanMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What happened in one slice of time. Calls are counted where they ended. */
export interface TimelineSlice {
  readonly fromMs: number
  readonly untilMs: number
  /** Calls that came. */
  readonly offered: number
  /** Answered within the deadline. */
  readonly good: number
  /** Answered, and too late to be of use. */
  readonly late: number
  /** Refused by a policy. */
  readonly refused: number
  /** Ended by another error, such as a timeout of the client. */
  readonly failed: number
  /** What the server can serve in that time. */
  readonly capacity: number
  /** Calls inside the server at the end of it. */
  readonly inside: number
  readonly latency: Latencies
}

/** Numbers, as many as come. */
class Samples {
  #values = new Float64Array(64)
  #count = 0

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const wider = new Float64Array(this.#count * 2)
      wider.set(this.#values)
      this.#values = wider
    }
    this.#values[this.#count++] = value
  }

  addTo(all: Samples): void {
    for (const value of this.#values.subarray(0, this.#count)) all.add(value)
  }

  latencies(): Latencies {
    const sorted = this.#values.slice(0, this.#count).sort()
    const at = (ratio: number): number => sorted[Math.max(0, Math.ceil(ratio * sorted.length) - 1)] ?? Number.NaN
    const sum = sorted.reduce((total, value) => total + value, 0)
    return { meanMs: sum / sorted.length, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs: at(1) }
  }
}

class Slice {
  offered = 0
  inside = 0
  readonly ends: Record<CallEnd, number> = { good: 0, late: 0, refused: 0, failed: 0 }
  readonly answered = new Samples()
}

/** Counts calls, by slices of time. */
export class Tally {
  readonly #slices: readonly Slice[]
  readonly #sliceMs: number
  readonly #durationMs: number

  constructor(durationMs: number, sliceMs: number) {
    this.#durationMs = durationMs
    this.#sliceMs = sliceMs
    this.#slices = Array.from({ length: Math.ceil(durationMs / sliceMs) }, () => new Slice())
  }

  offered(atMs: number): void {
    this.#at(atMs).offered += 1
  }

  ended(end: CallEnd, atMs: number, latencyMs: number): void {
    const slice = this.#at(atMs)
    slice.ends[end] += 1
    if (end === 'good' || end === 'late') slice.answered.add(latencyMs)
  }

  inside(atMs: number, count: number): void {
    this.#at(atMs).inside = count
  }

  latencies(): Latencies {
    const all = new Samples()
    for (const { answered } of this.#slices) answered.addTo(all)
    return all.latencies()
  }

  /** @param capacityOf what can be served from one time until another. */
  timeline(capacityOf: (fromMs: number, untilMs: number) => number): readonly TimelineSlice[] {
    return this.#slices.map(({ offered, inside, ends, answered }, index) => {
      const fromMs = index * this.#sliceMs
      const untilMs = Math.min(this.#durationMs, fromMs + this.#sliceMs)
      const capacity = capacityOf(fromMs, untilMs)
      return { fromMs, untilMs, offered, ...ends, capacity, inside, latency: answered.latencies() }
    })
  }

  #at(atMs: number): Slice {
    const index = Math.min(this.#slices.length - 1, Math.floor(atMs / this.#sliceMs))
    return this.#slices[index] as Slice
  }
}
