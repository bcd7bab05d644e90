import type { Clock, Timer } from '../clock.ts'
import type { RateDecision, RateQuota, RateTake } from '../ports/rates.ts'
import type { Bucket } from '../rates/bucket.ts'
import { comesBackInMs, decisionOf, levelAt, verdictOn } from '../rates/bucket.ts'

const SWEEP_MS = 1_000

interface Kept extends Bucket {
  readonly wholeAtMs: number
}

/**
 * The quotas of a `MemoryWorld`. What is whole again is swept away by a timer, once a second while there is anything: each key
 * waits in the second in which it was to be whole when it was last looked at, so a sweep looks only at those.
 */
export class MemoryRateBuckets {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Kept>()
  readonly #dueBySecond = new Map<number, string[]>()
  #sweeper: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What is still kept of a key: empty once it was whole, and swept away. For tests. */
  leftovers(key: string): readonly string[] {
    const bucket = this.#buckets.get(key)
    return bucket === undefined ? [] : [`${bucket.level} permits`]
  }

  take(takes: readonly RateTake[]): readonly RateDecision[] {
    const atMs = this.#clock.monotonicMs()
    const verdicts = takes.map(take => {
      const level = levelAt(this.#find(take.key, atMs), take.quota, atMs)
      return { take, verdict: verdictOn(take, level) }
    })
    if (verdicts.every(({ verdict }) => verdict.granted !== undefined)) {
      for (const { take, verdict } of verdicts) {
        if (verdict.granted !== 0) this.#keep(take.key, take.quota, { atMs, level: verdict.level })
      }
    }
    return verdicts.map(({ take, verdict }) => decisionOf(take, verdict))
  }

  giveBack(key: string, quota: RateQuota, count: number): void {
    const atMs = this.#clock.monotonicMs()
    const bucket = this.#find(key, atMs)
    if (bucket === undefined) return
    const level = Math.max(0, levelAt(bucket, quota, atMs) - count)
    this.#keep(key, quota, { atMs, level }, level > quota.burst ? bucket.wholeAtMs : undefined)
  }

  // Whole by the quota that took last, it is whole for all: one that is slower would be closed for longer than that.
  #find(key: string, atMs: number): Kept | undefined {
    const bucket = this.#buckets.get(key)
    return bucket !== undefined && bucket.wholeAtMs > atMs ? bucket : undefined
  }

  #keep(
    key: string,
    quota: RateQuota,
    bucket: Bucket,
    wholeAtMs: number = bucket.atMs + comesBackInMs(quota, bucket.level),
  ): void {
    const isNew = !this.#buckets.has(key)
    this.#buckets.set(key, { ...bucket, wholeAtMs })
    if (isNew) this.#expect(key, wholeAtMs)
    if (this.#sweeper === undefined) this.#sweepLater()
  }

  #expect(key: string, wholeAtMs: number): void {
    const second = Math.ceil(wholeAtMs / SWEEP_MS)
    const due = this.#dueBySecond.get(second)
    if (due === undefined) this.#dueBySecond.set(second, [key])
    else due.push(key)
  }

  #sweepLater(): void {
    this.#sweeper = this.#clock.setTimer(() => this.#sweep(), SWEEP_MS)
  }

  #sweep(): void {
    this.#sweeper = undefined
    const nowMs = this.#clock.monotonicMs()
    for (const [second, keys] of [...this.#dueBySecond]) {
      if (second * SWEEP_MS > nowMs) continue
      this.#dueBySecond.delete(second)
      for (const key of keys) this.#look(key, nowMs)
    }
    if (this.#dueBySecond.size > 0) this.#sweepLater()
  }

  #look(key: string, nowMs: number): void {
    const wholeAtMs = this.#buckets.get(key)?.wholeAtMs
    if (wholeAtMs === undefined) return
    if (wholeAtMs <= nowMs) this.#buckets.delete(key)
    else this.#expect(key, wholeAtMs)
  }
}
