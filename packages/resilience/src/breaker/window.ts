import type { WindowRule } from './options.ts'

/** How calls ended, of late: so many of the last ones, or of the last while. */
export interface CallWindow {
  readonly calls: number
  readonly failures: number
  readonly slow: number
  record(atMs: number, isFailure: boolean, isSlow: boolean): void
  /** Forgets what is too old by now. */
  advance(nowMs: number): void
}

/** A window of a rule; with what the window before it knows, as far as both are of one kind. */
export function windowOf(rule: WindowRule, before?: CallWindow): CallWindow {
  if (rule.kind === 'count') return new CountWindow(rule.size, before instanceof CountWindow ? before : undefined)
  return new TimeWindow(rule, before instanceof TimeWindow ? before : undefined)
}

const FAILED = 1
const SLOW = 2

/** The last `size` calls, a byte each. */
class CountWindow implements CallWindow {
  calls = 0
  failures = 0
  slow = 0
  readonly #ring: Uint8Array
  #next = 0

  constructor(size: number, before: CountWindow | undefined) {
    this.#ring = new Uint8Array(size)
    before?.replayTo(this)
  }

  record(_atMs: number, isFailure: boolean, isSlow: boolean): void {
    const ring = this.#ring
    const index = this.#next
    if (this.calls < ring.length) this.calls += 1
    else this.#forget(ring[index] as number)
    ring[index] = (isFailure ? FAILED : 0) | (isSlow ? SLOW : 0)
    if (isFailure) this.failures += 1
    if (isSlow) this.slow += 1
    this.#next = index + 1 === ring.length ? 0 : index + 1
  }

  advance(): void {}

  /** Oldest first: a smaller window keeps the latest. */
  replayTo(other: CountWindow): void {
    const { length } = this.#ring
    for (let age = this.calls; age > 0; age--) {
      const bits = this.#ring[(this.#next - age + length) % length] as number
      other.record(0, (bits & FAILED) !== 0, (bits & SLOW) !== 0)
    }
  }

  #forget(bits: number): void {
    if ((bits & FAILED) !== 0) this.failures -= 1
    if ((bits & SLOW) !== 0) this.slow -= 1
  }
}

/**
 * The calls of the last `durationMs`, in buckets: between `durationMs` less one bucket and all of it. On its way it clears every
 * bucket whose time has passed, however long nobody called: cockatiel's clears one a call.
 */
class TimeWindow implements CallWindow {
  calls = 0
  failures = 0
  slow = 0
  readonly #bucketMs: number
  readonly #calls: Float64Array
  readonly #failures: Float64Array
  readonly #slow: Float64Array
  // Counted from the start of the clock.
  #bucket = 0

  constructor({ durationMs, buckets }: WindowRule & { readonly kind: 'time' }, before: TimeWindow | undefined) {
    this.#bucketMs = durationMs / buckets
    this.#calls = new Float64Array(buckets)
    this.#failures = new Float64Array(buckets)
    this.#slow = new Float64Array(buckets)
    before?.replayTo(this)
  }

  record(atMs: number, isFailure: boolean, isSlow: boolean): void {
    this.advance(atMs)
    this.#add(1, isFailure ? 1 : 0, isSlow ? 1 : 0)
  }

  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    if (bucket <= this.#bucket) return
    const count = this.#calls.length
    // After a long while each bucket is cleared once.
    for (let cleared = Math.max(this.#bucket + 1, bucket - count + 1); cleared <= bucket; cleared++) {
      this.#clear(cleared % count)
    }
    this.#bucket = bucket
  }

  /** Oldest first. A bucket counts as of its start, so nothing stands longer than the other window is long. */
  replayTo(other: TimeWindow): void {
    const count = this.#calls.length
    for (let bucket = Math.max(0, this.#bucket - count + 1); bucket <= this.#bucket; bucket++) {
      const slot = bucket % count
      // A hair past its start, which rounding could put into the bucket before.
      other.advance((bucket + 1e-6) * this.#bucketMs)
      other.#add(this.#calls[slot] as number, this.#failures[slot] as number, this.#slow[slot] as number)
    }
  }

  #add(calls: number, failures: number, slow: number): void {
    const slot = this.#bucket % this.#calls.length
    this.#calls[slot] = (this.#calls[slot] as number) + calls
    this.#failures[slot] = (this.#failures[slot] as number) + failures
    this.#slow[slot] = (this.#slow[slot] as number) + slow
    this.calls += calls
    this.failures += failures
    this.slow += slow
  }

  #clear(slot: number): void {
    this.calls -= this.#calls[slot] as number
    this.failures -= this.#failures[slot] as number
    this.slow -= this.#slow[slot] as number
    this.#calls[slot] = 0
    this.#failures[slot] = 0
    this.#slow[slot] = 0
  }
}
