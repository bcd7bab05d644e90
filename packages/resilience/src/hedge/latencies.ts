// Enough for a p99, and few enough to be sorted now and then.
const SAMPLES_MAX = 1_000

/** How long the last calls took, and a quantile of that, worked out now and then. */
export class Latencies {
  readonly #samplesMs = new Float64Array(SAMPLES_MAX)
  readonly #refreshMs: number
  readonly #samplesMin: number
  #count = 0
  #next = 0
  #quantileMs: number | undefined = undefined
  #quantile = 0
  #refreshAtMs = -Infinity

  constructor({ refreshMs, samplesMin }: { readonly refreshMs: number; readonly samplesMin: number }) {
    this.#refreshMs = refreshMs
    this.#samplesMin = samplesMin
  }

  get count(): number {
    return this.#count
  }

  add(durationMs: number): void {
    this.#samplesMs[this.#next] = durationMs
    this.#next = (this.#next + 1) % SAMPLES_MAX
    if (this.#count < SAMPLES_MAX) this.#count += 1
  }

  /** The nearest-rank quantile as it was last worked out; undefined while there are too few samples. */
  quantileMs(quantile: number, nowMs: number): number | undefined {
    if (this.#count < this.#samplesMin) return undefined
    if (nowMs >= this.#refreshAtMs || quantile !== this.#quantile) {
      const sorted = this.#samplesMs.slice(0, this.#count).sort()
      this.#quantileMs = sorted[Math.max(0, Math.ceil(quantile * this.#count) - 1)]
      this.#quantile = quantile
      this.#refreshAtMs = nowMs + this.#refreshMs
    }
    return this.#quantileMs
  }
}
