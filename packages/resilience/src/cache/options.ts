import type { Clock } from '@holdfast/core'
import { InvalidArgumentError, show, systemClock } from '@holdfast/core'
import type { CallContext } from '../call.ts'
import { checkFunction, checkInteger, checkMs, checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import type { Mode, StageOptions } from '../stage.ts'

/** How `cache` is made. */
export interface CacheOptions extends StageOptions {
  /** How long a value is fresh, and is the answer without a call, in milliseconds, from 1. */
  readonly ttlMs: number
  /** For how long after that it still is the answer, at once, while a call in the background renews it. @default 0 */
  readonly staleMs?: number
  /** For how long after `ttlMs` it is the answer where the call fails. @default 0 */
  readonly staleOnErrorMs?: number
  /** Calls without a key are not cached. @default the call's own `key` */
  readonly key?: (context: CallContext) => string | undefined
  /** How many values are kept, 1 to 10 000 000; those read longest ago go first. @default 10000 */
  readonly keysMax?: number
  /** How large a value is, in bytes; only used with `sizeBytesMax`. @default 0 for each */
  readonly sizeOf?: (value: unknown) => number
  /** How large all together may be, in bytes. @default no limit but `keysMax` */
  readonly sizeBytesMax?: number
  /** Whether a value is kept. @default all but null and undefined */
  readonly keep?: (value: unknown) => boolean
  /**
   * What a stale value is the answer to: a function of the error, or a filter of cockatiel, by which a value may be a failure as well.
   *
   * @default every error, refusals of policies inside too; never that the caller gave up
   */
  readonly handle?: FailureFilter
  /** @default systemClock */
  readonly clock?: Clock
}

/** The options with nothing left out. */
export interface CacheRule {
  readonly name?: string
  readonly mode: Mode
  readonly ttlMs: number
  readonly staleMs: number
  readonly staleOnErrorMs: number
  readonly key: (context: CallContext) => string | undefined
  readonly keysMax: number
  readonly sizeOf: (value: unknown) => number
  readonly sizeBytesMax: number
  readonly keep: (value: unknown) => boolean
  readonly filter: Filter
  readonly clock: Clock
}

const DEFAULTS = Object.freeze({
  mode: 'enforce',
  staleMs: 0,
  staleOnErrorMs: 0,
  key: ({ key }: CallContext) => key,
  keysMax: 10_000,
  sizeOf: () => 0,
  sizeBytesMax: Infinity,
  keep: (value: unknown) => value !== null && value !== undefined,
  clock: systemClock,
} as const satisfies Omit<CacheRule, 'ttlMs' | 'filter'>)

const KNOWN: ReadonlySet<string> = new Set([...Object.keys(DEFAULTS), 'name', 'ttlMs', 'handle'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedCacheOptions({ handle = () => true, ...given }: CacheOptions): CacheRule {
  checkStageOptions('cache', given, KNOWN)
  const rule = { ...DEFAULTS, ...given, filter: filterOf(handle) }
  checkMs('ttlMs', rule.ttlMs, 1)
  checkMs('staleMs', rule.staleMs)
  checkMs('staleOnErrorMs', rule.staleOnErrorMs)
  checkInteger('keysMax', rule.keysMax, { min: 1, max: 10_000_000 })
  for (const name of ['key', 'sizeOf', 'keep'] as const) checkFunction(name, rule[name])
  if (rule.sizeBytesMax === Infinity) return rule
  checkInteger('sizeBytesMax', rule.sizeBytesMax, { min: 1, max: Number.MAX_SAFE_INTEGER })
  if (given.sizeOf !== undefined) return rule
  throw new InvalidArgumentError('sizeOf', `Expected \`sizeOf\` beside \`sizeBytesMax\`, got ${show(given.sizeOf)}.`)
}
