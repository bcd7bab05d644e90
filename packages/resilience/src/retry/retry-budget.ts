import type { Clock } from '@holdfast/core'
import { checkDurationMs, checkKeys, systemClock } from '@holdfast/core'
import type { CallBudget } from '../call.ts'
import { checkNumber } from '../checks.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'

/** @see retryBudget */
export interface RetryBudgetOptions {
  /** How many more attempts each call pays for: 0.1 is one for ten calls. In [0, 1]. @default 0.1 */
  readonly ratio?: number
  /** What there is besides, for a process that makes few calls: attempts in each second, in [0, 1000]. @default 1 */
  readonly minPerSecond?: number
  /** How long a call pays, and an attempt costs, in milliseconds, from 1000 to 60000. @default 10000 */
  readonly ttlMs?: number
  /** Read once, when the budget is made. @default the system's clock */
  readonly clock?: Clock
}

const TTL_MS = Object.freeze({ min: 1_000, max: 60_000 })

/** More attempts, paid for by calls. One object can serve several policies: those that call the same service should share one. */
export interface RetryBudget extends CallBudget, Disposable {
  /** Notes a call, which pays for a part of one more attempt. `retry` and `hedge` do so. */
  deposit(): void
  /** How many more attempts could be made now; a part of one counts as a part. */
  readonly balance: number
  /** Follows its `Live` settings no more. */
  close(): void
}

type BudgetRule = Required<RetryBudgetOptions>

const KNOWN: ReadonlySet<string> = new Set(['ratio', 'minPerSecond', 'ttlMs', 'clock'])

const DEFAULTS: BudgetRule = Object.freeze({ ratio: 0.1, minPerSecond: 1, ttlMs: 10_000, clock: systemClock })

/**
 * A budget for retries and hedges: over any `ttlMs` there are at most `ratio` for each call and `minPerSecond` for each second. What
 * is called gets, in the worst of its hours, little more than the calls themselves, where without a budget it gets several times
 * as many, and never recovers.
 *
 * A process that has just begun has the whole of its minimum, which is 10 with the defaults.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @see Finagle `RetryBudget` (a leaky token bucket with a reserve), with calls noted 16 at a time.
 */
export function retryBudget(options: LiveOptions<RetryBudgetOptions> = {}): RetryBudget {
  return new SlidingBudget(openRule('retryBudget', options, checked))
}

function checked(options: RetryBudgetOptions): BudgetRule {
  checkKeys('retryBudget', options, KNOWN)
  const rule = { ...DEFAULTS, ...options }
  checkNumber('ratio', rule.ratio, { min: 0, max: 1 })
  checkNumber('minPerSecond', rule.minPerSecond, { min: 0, max: 1_000 })
  checkDurationMs('ttlMs', rule.ttlMs, TTL_MS)
  return rule
}

const BUCKETS = 10
// To read the clock costs more than all else here. What is noted late was at most this many calls, so it hardly counts.
const CALLS_PER_NOTE = 16

class SlidingBudget implements RetryBudget {
  readonly #rule: Rule<BudgetRule>
  readonly #clock: Clock
  /** What was paid in less what was taken out, by the time at which it was. */
  readonly #buckets = new Float64Array(BUCKETS)
  #sum = 0
  #bucketNumber = 0
  #bucketMs: number
  #unnoted = 0

  constructor(rule: Rule<BudgetRule>) {
    this.#rule = rule
    this.#clock = rule.current.clock
    this.#bucketMs = rule.current.ttlMs / BUCKETS
    this.#bucketNumber = this.#numberNow()
  }

  deposit(): void {
    this.#unnoted += 1
    if (this.#unnoted >= CALLS_PER_NOTE) this.#settle()
  }

  tryWithdraw(): boolean {
    if (this.balance < 1) return false
    this.#put(-1)
    return true
  }

  get balance(): number {
    this.#settle()
    const { minPerSecond, ttlMs } = this.#rule.current
    // Sums of tenths: ten of them are one.
    return Math.round((this.#sum + (minPerSecond * ttlMs) / 1_000) * 1e6) / 1e6
  }

  close(): void {
    this.#rule.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #settle(): void {
    this.#advance()
    this.#put(this.#unnoted * this.#rule.current.ratio)
    this.#unnoted = 0
  }

  #put(amount: number): void {
    const index = this.#bucketNumber % BUCKETS
    this.#buckets[index] = (this.#buckets[index] as number) + amount
    this.#sum += amount
  }

  #advance(): void {
    this.#followRule()
    const number = this.#numberNow()
    if (number === this.#bucketNumber) return
    const steps = Math.min(number - this.#bucketNumber, BUCKETS)
    for (let step = 1; step <= steps; step++) this.#buckets[(this.#bucketNumber + step) % BUCKETS] = 0
    this.#bucketNumber = number
    // Added up anew, so that no error of rounding stays.
    this.#sum = this.#buckets.reduce((sum, amount) => sum + amount, 0)
  }

  // Another window: what is known is kept, and goes out with the newest bucket.
  #followRule(): void {
    const bucketMs = this.#rule.current.ttlMs / BUCKETS
    if (bucketMs === this.#bucketMs) return
    this.#bucketMs = bucketMs
    this.#bucketNumber = this.#numberNow()
    this.#buckets.fill(0)
    this.#buckets[this.#bucketNumber % BUCKETS] = this.#sum
  }

  #numberNow(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#bucketMs)
  }
}
