import type { Clock } from '@holdfast/core'
import { InvalidArgumentError, systemClock } from '@holdfast/core'
import { checkInteger, checkMs, checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import type { StageOptions } from '../stage.ts'
import { isOverloadError } from './drops.ts'

/** What `adaptiveLimit` is given. */
export interface AdaptiveLimitOptions extends StageOptions {
  /** The limit is never below: what is let through however bad things look. From 1 to 1,000,000. @default 2 */
  readonly limitMin?: number
  /** The limit is never above. From `limitMin` to 1,000,000. @default 1_000 */
  readonly limitMax?: number
  /**
   * The limit until enough calls were seen, and what it is not taken below for want of calls. From `limitMin` to `limitMax`.
   * @default 100, or the nearest that the bounds allow
   */
  readonly limitStart?: number
  /**
   * How many calls may wait for their turn in what is called, so that calls that come together by chance are not refused. More of
   * it refuses less near full load, and makes calls slower above it. From 0 to 10,000. @default 12
   */
  readonly headroom?: number
  /**
   * The longest average that counts as healthy, in milliseconds: what takes longer is taken for a queue, however long it has been
   * like that. At least 1. @default no bound
   */
  readonly maxHealthyMs?: number
  /** What counts as a sign of overload. @default timeouts, and refusals for overload by policies further in */
  readonly handle?: FailureFilter
  /** Read once, when the policy is made. @default the system's clock */
  readonly clock?: Clock
}

/** The settings, with defaults. */
export interface AdaptiveRule extends StageOptions {
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  readonly headroom: number
  readonly maxHealthyMs: number
  readonly drops: Filter
  readonly clock: Clock
}

const DEFAULTS = Object.freeze({ limitMin: 2, limitMax: 1_000, limitStart: 100, headroom: 12 })

const LIMIT_MAX = 1_000_000

const KNOWN: ReadonlySet<string> = new Set<keyof AdaptiveLimitOptions>([
  'name',
  'mode',
  'limitMin',
  'limitMax',
  'limitStart',
  'headroom',
  'maxHealthyMs',
  'handle',
  'clock',
])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkAdaptive(options: AdaptiveLimitOptions): AdaptiveRule {
  checkStageOptions('adaptiveLimit', options, KNOWN)
  const { limitMin = DEFAULTS.limitMin, limitMax = DEFAULTS.limitMax, headroom = DEFAULTS.headroom } = options
  checkInteger('limitMin', limitMin, { min: 1, max: LIMIT_MAX })
  checkInteger('limitMax', limitMax, { min: 1, max: LIMIT_MAX })
  if (limitMin > limitMax) {
    throw new InvalidArgumentError(
      'limitMin',
      `Expected \`limitMin\` to be at most \`limitMax\`, which is ${limitMax}, got ${limitMin}.`,
    )
  }
  const { limitStart = Math.min(limitMax, Math.max(limitMin, DEFAULTS.limitStart)), maxHealthyMs } = options
  checkInteger('limitStart', limitStart, { min: limitMin, max: limitMax })
  checkInteger('headroom', headroom, { min: 0, max: 10_000 })
  if (maxHealthyMs !== undefined) checkMs('maxHealthyMs', maxHealthyMs, 1)
  const { name, mode, handle = isOverloadError, clock = systemClock } = options
  return {
    ...(name !== undefined && { name }),
    ...(mode !== undefined && { mode }),
    limitMin,
    limitMax,
    limitStart,
    headroom,
    maxHealthyMs: maxHealthyMs ?? Infinity,
    drops: filterOf(handle),
    clock,
  }
}
