import type { Backend, Clock, Random } from '@holdfast/core'
import {
  checkGivenKeys,
  checkKeys,
  checkName,
  InvalidArgumentError,
  show,
  systemClock,
  systemRandom,
} from '@holdfast/core'
import type { NumberRange } from '../checks.ts'
import { checkFunction, checkInteger, checkMs, checkNumber, checkOneOf, checkStageOptions } from '../checks.ts'
import type { StageOptions } from '../stage.ts'
import type { PerKey } from './decider.ts'
import type { WarmUp } from './gcra.ts'
import type { Quota } from './meter.ts'

/** What happens while the store does not answer. See `RateLimitOptions.whenUnavailable`. */
export type WhenUnavailable = 'local' | 'open' | 'closed'

/** A quota that one key has for itself. What is left out is as for the others; `burst` is `limit` where that is given. */
export interface KeyQuota {
  readonly limit: number
  readonly periodMs?: number
  readonly burst?: number
}

/** Permits that an instance takes from the store in batches. */
export interface RateLease {
  /**
   * How long a batch is meant to last, and how long unused permits are kept, in milliseconds, 10 to 60,000.
   *
   * @default 100
   */
  readonly leaseMs?: number
}

/** Settings of `rateLimit`. Each may be a `Live`; a change loses no permit, and gives none twice. */
export interface RateLimitOptions extends StageOptions {
  /** Calls (or what they cost) for each period, 1 to 1,000,000,000. */
  readonly limit: number
  /** In milliseconds, 1 to 86,400,000 (a day). @default 1000 */
  readonly periodMs?: number
  /** What may pass at once after a rest, 1 to 1,000,000,000. Not for 'sliding-window', where it is the limit. @default limit */
  readonly burst?: number
  /**
   * - `gcra`: evenly, with bursts: over any time t at most `burst + limit * t / periodMs`.
   * - `sliding-window`: at most `limit` in any window of `periodMs`, wherever it begins; permits come back up to a tenth of a period
   *   late. Only without `backend`, `warmUp` and `burst`.
   *
   * @default 'gcra'
   */
  readonly algorithm?: 'gcra' | 'sliding-window'
  /**
   * `true`: each `key` of calls has a quota of its own. A function tells the key from the call; it is pure. Calls without a key share
   * one quota.
   *
   * @default false: one quota for all calls
   */
  readonly perKey?: PerKey
  /** Quotas of keys that differ from the rest: a hot product, a paying tenant. At most 10,000. Needs `perKey`. */
  readonly overrides?: Readonly<Record<string, KeyQuota>>
  /**
   * How many keys this process keeps a state of, 1 to 1,000,000. Only keys whose quota is whole are forgotten; where all are in use,
   * new ones share states, and may be refused early, but never get more than their quota.
   *
   * @default 10000
   */
  readonly keysMax?: number
  /** Starts slowly after a rest. Only without `backend`. */
  readonly warmUp?: WarmUp
  /** How long a call may wait for its permit, in milliseconds. First come, first served. In `shadow` none waits. @default 0 */
  readonly waitMs?: number
  /** How many calls may wait at once, 1 to 1,000,000. @default 1000 */
  readonly waitersMax?: number
  /** Where all instances count together. Policies of one `name` on one backend share their quota. @default this process alone */
  readonly backend?: Backend
  /**
   * While the store does not answer:
   * - `local`: this instance goes by its part of the quota, `limit / instances`, counted here. Needs `instances`.
   * - `open`: all calls are admitted.
   * - `closed`: all are refused as `store-unavailable` (503, never 429).
   *
   * @default 'local'
   */
  readonly whenUnavailable?: WhenUnavailable
  /** How many instances share the quota, 1 to 100,000; a `Live` follows discovery. */
  readonly instances?: number
  /**
   * The longest that a decision waits for the store, in milliseconds, 1 to 60,000. Where this process itself stood still meanwhile,
   * it asks once more.
   *
   * @default 25
   */
  readonly storeTimeoutMs?: number
  /**
   * Takes permits in batches that follow the demand and decides here, most often without a wait: for many thousand calls a second.
   * Never over the quota in total; but permits that one instance holds, another cannot use for up to `leaseMs`.
   */
  readonly lease?: RateLease
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** `RateLimitOptions`, checked, with defaults. */
export interface RateRule extends StageOptions, Quota {
  readonly algorithm: 'gcra' | 'sliding-window'
  readonly perKey: PerKey
  readonly overrides: ReadonlyMap<string, Quota>
  readonly keysMax: number
  readonly warmUp: Required<WarmUp> | undefined
  readonly waitMs: number
  readonly waitersMax: number
  readonly backend: Backend | undefined
  readonly whenUnavailable: WhenUnavailable
  readonly instances: number | undefined
  readonly storeTimeoutMs: number
  readonly isLeased: boolean
  readonly leaseMs: number
  /** What the store knows the policy by; undefined without a store. */
  readonly storeName: string | undefined
  readonly clock: Clock
  readonly random: Random
}

const DEFAULTS = Object.freeze({
  periodMs: 1_000,
  algorithm: 'gcra',
  perKey: false,
  keysMax: 10_000,
  coldFactor: 3,
  waitMs: 0,
  waitersMax: 1_000,
  whenUnavailable: 'local',
  storeTimeoutMs: 25,
  leaseMs: 100,
} as const)

const KNOWN: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'limit',
  'periodMs',
  'burst',
  'algorithm',
  'perKey',
  'overrides',
  'keysMax',
  'warmUp',
  'waitMs',
  'waitersMax',
  'backend',
  'whenUnavailable',
  'instances',
  'storeTimeoutMs',
  'lease',
  'clock',
  'random',
])
const QUOTA_KEYS: ReadonlySet<string> = new Set(['limit', 'periodMs', 'burst'])
const LIMIT: NumberRange = { min: 1, max: 1_000_000_000 }
const PERIOD_MS: NumberRange = { min: 1, max: 86_400_000 }
const STORE_TIMEOUT_MS: NumberRange = { min: 1, max: 60_000 }
const OVERRIDES_MAX = 10_000

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedRateRule(options: RateLimitOptions): RateRule {
  checkStageOptions('rateLimit', options, KNOWN)
  const quota = checkedQuota('', options, DEFAULTS)
  const { name, mode, backend, instances, clock = systemClock, random = systemRandom } = options
  const rule: RateRule = {
    ...(name === undefined ? {} : { name }),
    ...(mode === undefined ? {} : { mode }),
    ...quota,
    algorithm: options.algorithm ?? DEFAULTS.algorithm,
    perKey: options.perKey ?? DEFAULTS.perKey,
    overrides: checkedOverrides(options.overrides, quota),
    keysMax: options.keysMax ?? DEFAULTS.keysMax,
    warmUp: checkedWarmUp(options.warmUp),
    waitMs: options.waitMs ?? DEFAULTS.waitMs,
    waitersMax: options.waitersMax ?? DEFAULTS.waitersMax,
    backend,
    whenUnavailable: options.whenUnavailable ?? DEFAULTS.whenUnavailable,
    instances,
    storeTimeoutMs: options.storeTimeoutMs ?? DEFAULTS.storeTimeoutMs,
    isLeased: options.lease !== undefined,
    leaseMs: checkedLeaseMs(options.lease),
    storeName: backend === undefined ? undefined : name,
    clock,
    random,
  }
  checkOneOf('algorithm', rule.algorithm, ['gcra', 'sliding-window'])
  if (typeof rule.perKey !== 'boolean') checkFunction('perKey', rule.perKey)
  checkInteger('keysMax', rule.keysMax, { min: 1, max: 1_000_000 })
  checkMs('waitMs', rule.waitMs)
  checkInteger('waitersMax', rule.waitersMax, { min: 1, max: 1_000_000 })
  checkStoreOptions(rule)
  checkTogether(options, rule)
  return rule
}

/**
 * What all policies that ask a store have to say.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkStoreOptions({
  name,
  backend,
  whenUnavailable,
  instances,
  storeTimeoutMs,
}: Pick<RateRule, 'backend' | 'whenUnavailable' | 'instances' | 'storeTimeoutMs'> & StageOptions): void {
  checkOneOf('whenUnavailable', whenUnavailable, ['local', 'open', 'closed'])
  if (instances !== undefined) checkInteger('instances', instances, { min: 1, max: 100_000 })
  checkInteger('storeTimeoutMs', storeTimeoutMs, STORE_TIMEOUT_MS)
  if (backend === undefined) return
  if (typeof (backend as Partial<Backend> | null)?.rates?.take !== 'function') {
    throw new InvalidArgumentError('backend', `Expected \`backend\` to be a backend, got ${show(backend)}.`)
  }
  if (name === undefined) {
    throw new InvalidArgumentError('name', 'Expected a `name` beside `backend`: all instances count under it.')
  }
  if (whenUnavailable === 'local' && instances === undefined) {
    throw new InvalidArgumentError(
      'instances',
      "Expected `instances` beside `backend`, or `whenUnavailable` 'open' or 'closed': without the store, each instance goes " +
        'by its part of the quota, and has to know of how many.',
    )
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedQuota(where: string, given: KeyQuota, usual: { readonly periodMs: number }): Quota {
  const { limit, periodMs = usual.periodMs, burst = limit } = given
  checkInteger(`${where}limit`, limit, LIMIT)
  checkInteger(`${where}periodMs`, periodMs, PERIOD_MS)
  checkInteger(`${where}burst`, burst, LIMIT)
  return { limit, periodMs, burst }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedOverrides(given: unknown, usual: Quota): ReadonlyMap<string, Quota> {
  if (given === undefined) return new Map()
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidArgumentError('overrides', `Expected \`overrides\` to be an object, got ${show(given)}.`)
  }
  const entries = Object.entries(given as Readonly<Record<string, KeyQuota>>)
  if (entries.length > OVERRIDES_MAX) {
    throw new InvalidArgumentError(
      'overrides',
      `Expected \`overrides\` to have at most ${OVERRIDES_MAX} keys, got ${entries.length}.`,
    )
  }
  return new Map(
    entries.map(([key, quota]) => {
      checkName('overrides', key)
      const where = `overrides[${show(key)}]`
      checkGivenKeys(where, quota, QUOTA_KEYS)
      return [key, checkedQuota(`${where}.`, quota, usual)]
    }),
  )
}

function checkedWarmUp(given: WarmUp | undefined): Required<WarmUp> | undefined {
  if (given === undefined) return undefined
  checkKeys('warmUp', given, new Set(['durationMs', 'coldFactor']))
  const { durationMs, coldFactor = DEFAULTS.coldFactor } = given
  checkInteger('warmUp.durationMs', durationMs, PERIOD_MS)
  checkNumber('warmUp.coldFactor', coldFactor, { min: 2, max: 100 })
  return { durationMs, coldFactor }
}

function checkedLeaseMs(given: RateLease | undefined): number {
  checkKeys('lease', given, new Set(['leaseMs']))
  const { leaseMs = DEFAULTS.leaseMs } = given ?? {}
  checkInteger('lease.leaseMs', leaseMs, { min: 10, max: 60_000 })
  return leaseMs
}

/** Options that say nothing without others, or contradict them, are mistakes. */
function checkTogether(given: RateLimitOptions, rule: RateRule): void {
  const isShared = rule.backend !== undefined
  if (rule.perKey === false) refuseWith(given, 'without `perKey`', ['overrides'])
  if (isShared) refuseWith(given, 'with a `backend`', ['warmUp'])
  else refuseWith(given, 'without a `backend`', ['lease', 'whenUnavailable', 'instances', 'storeTimeoutMs'])
  if (rule.algorithm === 'gcra') return
  refuseWith(given, "with `algorithm` 'sliding-window'", ['burst', 'warmUp', 'backend'])
  const odd = [...rule.overrides].find(
    ([, { limit, periodMs, burst }]) => periodMs !== rule.periodMs || burst !== limit,
  )
  if (odd === undefined) return
  throw new InvalidArgumentError(
    'overrides',
    `Expected \`overrides\` to have nothing but a \`limit\` with \`algorithm\` 'sliding-window', got others for ${show(odd[0])}.`,
  )
}

function refuseWith(given: RateLimitOptions, where: string, names: readonly (keyof RateLimitOptions)[]): void {
  for (const name of names) {
    if (given[name] === undefined) continue
    throw new InvalidArgumentError(name, `Expected no \`${name}\` ${where}, got ${show(given[name])}.`)
  }
}
