import type { Backend, Clock, Random } from '@holdfast/core'
import { checkGivenKeys, InvalidArgumentError, RATE_TAKES_MAX, show, systemClock, systemRandom } from '@holdfast/core'
import { checkFunction, checkInteger, checkStageOptions } from '../checks.ts'
import type { StageOptions } from '../stage.ts'
import type { PerKey } from './decider.ts'
import type { Quota } from './meter.ts'
import type { KeyQuota, WhenUnavailable } from './options.ts'
import { checkedQuota, checkStoreOptions } from './options.ts'

/** One of several quotas that a call counts for. */
export interface QuotaRule extends KeyQuota {
  /** As with `rateLimit`: `true` for the call's key, or a pure function that tells the key. @default false: one for all calls */
  readonly perKey?: PerKey
}

/** Settings of `rateLimits`. Each may be a `Live`, `rules` as a whole. */
export interface RateLimitsOptions extends StageOptions {
  /** Instances of one name on one backend share their quotas. 1 to 60 characters of plain ASCII without braces. */
  readonly name: string
  readonly backend: Backend
  /** By name, 1 to 16. The names are as the policy's own is. */
  readonly rules: Readonly<Record<string, QuotaRule>>
  /** @see RateLimitOptions @default 'local' */
  readonly whenUnavailable?: WhenUnavailable
  /** @see RateLimitOptions */
  readonly instances?: number
  /** @see RateLimitOptions @default 25 */
  readonly storeTimeoutMs?: number
  /** How many keys of each rule this process remembers, 1 to 1,000,000. @default 10000 */
  readonly keysMax?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** A rule with defaults. */
export interface NamedQuota {
  readonly rule: string
  readonly quota: Quota
  readonly perKey: PerKey
}

/** `RateLimitsOptions`, checked, with defaults. */
export interface RateLimitsRule extends StageOptions {
  readonly name: string
  readonly backend: Backend
  readonly quotas: readonly NamedQuota[]
  readonly whenUnavailable: WhenUnavailable
  readonly instances: number | undefined
  readonly storeTimeoutMs: number
  readonly keysMax: number
  readonly clock: Clock
  readonly random: Random
}

const DEFAULTS = Object.freeze({
  periodMs: 1_000,
  whenUnavailable: 'local',
  storeTimeoutMs: 25,
  keysMax: 10_000,
} as const)

const KNOWN: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'backend',
  'rules',
  'whenUnavailable',
  'instances',
  'storeTimeoutMs',
  'keysMax',
  'clock',
  'random',
])
const RULE_KEYS: ReadonlySet<string> = new Set(['limit', 'periodMs', 'burst', 'perKey'])
// They stand in the hash tag that keeps the keys of one call together in a Redis Cluster.
const NAME = /^[\x20-\x7a|~]{1,60}$/

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedRateLimits(options: RateLimitsOptions): RateLimitsRule {
  checkStageOptions('rateLimits', options, KNOWN)
  checkShortName('name', options.name)
  if (options.backend === undefined) {
    throw new InvalidArgumentError(
      'backend',
      'Expected `backend`; limits of this process alone are all or none as a `pipeline` of several `rateLimit`.',
    )
  }
  const rule: RateLimitsRule = {
    ...(options.mode === undefined ? {} : { mode: options.mode }),
    name: options.name,
    backend: options.backend,
    quotas: checkedRules(options.rules),
    whenUnavailable: options.whenUnavailable ?? DEFAULTS.whenUnavailable,
    instances: options.instances,
    storeTimeoutMs: options.storeTimeoutMs ?? DEFAULTS.storeTimeoutMs,
    keysMax: options.keysMax ?? DEFAULTS.keysMax,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
  checkInteger('keysMax', rule.keysMax, { min: 1, max: 1_000_000 })
  checkStoreOptions(rule)
  return rule
}

function checkedRules(rules: unknown): readonly NamedQuota[] {
  if (typeof rules !== 'object' || rules === null || Array.isArray(rules)) {
    throw new InvalidArgumentError('rules', `Expected \`rules\` to be an object of quotas by name, got ${show(rules)}.`)
  }
  const entries = Object.entries(rules as Readonly<Record<string, QuotaRule>>)
  if (entries.length === 0 || entries.length > RATE_TAKES_MAX) {
    throw new InvalidArgumentError(
      'rules',
      `Expected \`rules\` to have 1 to ${RATE_TAKES_MAX} quotas, got ${entries.length}.`,
    )
  }
  return entries.map(([rule, given]) => {
    checkShortName('rules', rule)
    checkGivenKeys(`rules.${rule}`, given, RULE_KEYS)
    const { perKey = false } = given
    if (typeof perKey !== 'boolean') checkFunction(`rules.${rule}.perKey`, perKey)
    return { rule, quota: checkedQuota(`rules.${rule}.`, given, DEFAULTS), perKey }
  })
}

function checkShortName(argument: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new InvalidArgumentError(
    argument,
    `Expected a name in \`${argument}\` to be 1 to 60 characters of plain ASCII without braces, got ${show(name)}.`,
  )
}
