import type { Clock, Random } from '@holdfast/core'
import { InvalidArgumentError, show, systemClock, systemRandom } from '@holdfast/core'
import { checkFunction, checkInteger, checkMs, checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import type { StageOptions } from '../stage.ts'
import type { BackoffFactory } from './back-off.ts'
import { checkBackoff } from './back-off.ts'
import type { RetryBudget } from './retry-budget.ts'

/** @see retry */
export interface RetryOptions extends StageOptions {
  /** Attempts altogether, with the first one: an integer from 1 to 100. @default 3 */
  readonly maxAttempts?: number
  /** The first retry comes after 0 to this many milliseconds, drawn by chance; the limit doubles with each one. @default 100 */
  readonly baseMs?: number
  /** The limit of that. @default 20000 */
  readonly capMs?: number
  /** A back-off of cockatiel (3.2 or 4) instead. */
  readonly backoff?: BackoffFactory
  /** What counts as a failure. @default every error, but for refusals of policies */
  readonly handle?: FailureFilter
  /**
   * When to come again, in milliseconds, from an error or a failed result; undefined where it does not say.
   *
   * @default its `retryAfterMs`, or the header `Retry-After` of its `headers` or its `response.headers`
   */
  readonly retryAfter?: (outcome: unknown) => number | undefined
  /** Told to come again later than in this time, it gives up: nobody waits for so long. @default 60000 */
  readonly retryAfterMsMax?: number
  /**
   * What retries are paid from. `false`: none, and retries of retries are made too.
   *
   * @default that of the retry around it, else one of its own: `retryBudget()`
   */
  readonly budget?: RetryBudget | false
  /** Read once, when the policy is made. @default the system's clock */
  readonly clock?: Clock
  /** Read once, when the policy is made. @default the system's own randomness */
  readonly random?: Random
}

/** The options, checked and filled up. */
export interface RetryRule extends StageOptions {
  readonly maxAttempts: number
  readonly baseMs: number
  readonly capMs: number
  readonly backoff: BackoffFactory | undefined
  readonly filter: Filter
  readonly retryAfter: ((outcome: unknown) => number | undefined) | undefined
  readonly retryAfterMsMax: number
  readonly budget: RetryBudget | false | undefined
  readonly clock: Clock
  readonly random: Random
}

const DEFAULTS = Object.freeze({
  maxAttempts: 3,
  baseMs: 100,
  capMs: 20_000,
  backoff: undefined,
  retryAfter: undefined,
  retryAfterMsMax: 60_000,
  budget: undefined,
  clock: systemClock,
  random: systemRandom,
})

const KNOWN: ReadonlySet<string> = new Set([...Object.keys(DEFAULTS), 'handle', 'name', 'mode'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedRetry(options: RetryOptions): RetryRule {
  checkStageOptions('retry', options, KNOWN)
  const { handle, ...given } = options
  const rule = { ...DEFAULTS, ...given, filter: filterOf(handle) }
  checkInteger('maxAttempts', rule.maxAttempts, { min: 1, max: 100 })
  checkMs('baseMs', rule.baseMs)
  checkMs('capMs', rule.capMs)
  checkMs('retryAfterMsMax', rule.retryAfterMsMax)
  checkBackoff(rule.backoff)
  checkFunction('retryAfter', rule.retryAfter)
  if (rule.budget !== false) checkBudget(rule.budget)
  return rule
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no budget. */
export function checkBudget(value: unknown): void {
  if (value === undefined) return
  const { deposit, tryWithdraw } = (value ?? {}) as Partial<RetryBudget>
  if (typeof deposit === 'function' && typeof tryWithdraw === 'function') return
  throw new InvalidArgumentError('budget', `Expected \`budget\` to be a retryBudget() or false, got ${show(value)}.`)
}
