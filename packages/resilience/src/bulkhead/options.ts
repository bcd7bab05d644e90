import type { Clock } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import { checkInteger, checkMs, checkStageOptions } from '../checks.ts'
import type { LiveOptions } from '../rule.ts'
import type { Mode, StageOptions } from '../stage.ts'

/** How a bulkhead is made. What is a number may be `Live`. */
export interface BulkheadOptions extends StageOptions {
  /** Calls at a time: 1 to 1,000,000. */
  readonly limit: number
  /** Calls that may wait for a slot, in the order in which they came: 0 to 1,000,000. @default 0 */
  readonly queue?: number
  /** How long a call waits at most, in milliseconds. @default as long as its own deadline and signal let it */
  readonly queueMs?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** The options with nothing left out. */
export interface BulkheadRule {
  readonly name?: string
  readonly mode: Mode
  readonly limit: number
  readonly queue: number
  /** Infinity where none is given. */
  readonly queueMs: number
  readonly clock: Clock
}

/** What `bulkhead` takes. */
export type GivenBulkheadOptions = LiveOptions<BulkheadOptions>

const DEFAULTS = Object.freeze({ mode: 'enforce' as Mode, queue: 0, queueMs: Infinity, clock: systemClock })
const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'limit', 'queue', 'queueMs', 'clock'])
const CALLS_MAX = 1_000_000

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedBulkhead(options: BulkheadOptions): BulkheadRule {
  checkStageOptions('bulkhead', options, KNOWN)
  const rule: BulkheadRule = { ...DEFAULTS, ...options }
  checkInteger('limit', rule.limit, { min: 1, max: CALLS_MAX })
  checkInteger('queue', rule.queue, { min: 0, max: CALLS_MAX })
  if (options.queueMs !== undefined) checkMs('queueMs', options.queueMs)
  return rule
}
