import type { Backend, Clock, Random } from '@holdfast/core'
import {
  checkDurationMs,
  checkGivenKeys,
  checkName,
  InvalidArgumentError,
  show,
  systemClock,
  systemRandom,
  TTL_MS,
} from '@holdfast/core'
import { checkInteger, checkMs, checkNumber, checkOneOf, checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import type { LiveOptions } from '../rule.ts'
import type { Mode, StageOptions } from '../stage.ts'

/** Which calls a breaker looks back on. */
export type BreakerWindow =
  /** The last `size` calls, 1 to 100,000. @default 100 */
  | { readonly kind: 'count'; readonly size?: number }
  /**
   * The calls of the last `durationMs` (1,000 to 86,400,000, default 30,000), in `buckets` (1 to 1,000, default 10) that are forgotten
   * one by one.
   */
  | { readonly kind: 'time'; readonly durationMs?: number; readonly buckets?: number }

/** How a breaker is shared by the instances of a service. */
export interface SharedBreaker {
  /** Has to keep records. Where it has leases too, one instance at a time makes trial calls. */
  readonly backend: Backend
  /**
   * A closed circuit opens when this ratio of all instances, and at least two, found for themselves that it has to: more than 0, up to
   * 1. One bad instance never opens it for the others.
   *
   * @default 0.5
   */
  readonly quorum?: number
  /** How long the others count an instance that was killed, in milliseconds, 100 to 86,400,000. @default 10000 */
  readonly ttlMs?: number
  /** Names this instance; no other may have the name. @default drawn at random */
  readonly instance?: string
}

/** What a breaker goes by. */
export interface CircuitBreakerRule extends StageOptions {
  /** @default { kind: 'count', size: 100 } */
  readonly window?: BreakerWindow
  /** It opens when so many of the window's calls failed: a ratio from 0.001 to 1. @default 0.5 */
  readonly failureRatio?: number
  /** A call that takes longer counts as slow, in milliseconds, whether it fails or not. @default no call does */
  readonly slowMs?: number
  /** It opens when so many of the window's calls were slow: a ratio from 0.001 to 1. @default 1 */
  readonly slowRatio?: number
  /** Fewer calls in the window decide nothing: 1 to 100,000, at most the size of a count window. @default 20, or that size if smaller */
  readonly minCalls?: number
  /** How long it stays open the first time; twice as long each time it opens again without having closed. @default 5000 */
  readonly openMs?: number
  /** The longest that it stays open. @default 60000, or `openMs` if that is longer */
  readonly openMsMax?: number
  /**
   * How much of the open time is up to chance, so that instances do not come back as one: 1 draws it from all of (0, open time], 0
   * draws nothing.
   *
   * @default 1
   */
  readonly openJitter?: number
  /** Trial calls while it is half-open, 1 to 10,000; all others are refused meanwhile. @default 5 */
  readonly halfOpenCalls?: number
  /** Where trial calls have not decided it by then, it is open again, in milliseconds. @default 60000 */
  readonly halfOpenMsMax?: number
}

/** How a breaker is made. What is in `CircuitBreakerRule` may be `Live`, the rest is read once. */
export interface CircuitBreakerOptions extends CircuitBreakerRule {
  /**
   * What counts as a failure: a function of the error, or a filter of cockatiel. Other errors count as nothing at all. Neither do
   * calls that their caller gave up, and calls that a policy further in refused.
   *
   * @default every error
   */
  readonly handle?: FailureFilter
  /** Shares the circuit with the other instances of the service: needs a `name`. @default every instance for itself */
  readonly shared?: SharedBreaker
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** A window with nothing left out. */
export type WindowRule =
  | { readonly kind: 'count'; readonly size: number }
  | { readonly kind: 'time'; readonly durationMs: number; readonly buckets: number }

/** The options with nothing left out. */
export interface BreakerRule {
  readonly name?: string
  readonly mode: Mode
  readonly window: WindowRule
  readonly failureRatio: number
  /** Infinity where none is given. */
  readonly slowMs: number
  readonly slowRatio: number
  readonly minCalls: number
  readonly openMs: number
  readonly openMsMax: number
  readonly openJitter: number
  readonly halfOpenCalls: number
  readonly halfOpenMsMax: number
  readonly filter: Filter
  readonly shared: SharedRule | undefined
  readonly clock: Clock
  readonly random: Random
}

/** How it is shared, with nothing left out. */
export interface SharedRule {
  readonly backend: Backend
  readonly name: string
  readonly quorum: number
  readonly ttlMs: number
  readonly instance: string | undefined
}

/** What is left out means this. */
const DEFAULTS = Object.freeze({
  mode: 'enforce' as Mode,
  windowSize: 100,
  windowDurationMs: 30_000,
  windowBuckets: 10,
  failureRatio: 0.5,
  slowRatio: 1,
  minCalls: 20,
  openMs: 5_000,
  openMsMax: 60_000,
  openJitter: 1,
  halfOpenCalls: 5,
  halfOpenMsMax: 60_000,
  quorum: 0.5,
  ttlMs: 10_000,
})

/** What `circuitBreaker` takes. */
export type GivenBreakerOptions = LiveOptions<CircuitBreakerOptions>

const KNOWN: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'window',
  'failureRatio',
  'slowMs',
  'slowRatio',
  'minCalls',
  'openMs',
  'openMsMax',
  'openJitter',
  'halfOpenCalls',
  'halfOpenMsMax',
  'handle',
  'shared',
  'clock',
  'random',
])
const KNOWN_OF_COUNT: ReadonlySet<string> = new Set(['kind', 'size'])
const KNOWN_OF_TIME: ReadonlySet<string> = new Set(['kind', 'durationMs', 'buckets'])
const KNOWN_OF_SHARED: ReadonlySet<string> = new Set(['backend', 'quorum', 'ttlMs', 'instance'])
const RATIO = { min: 0.001, max: 1 }
const CALLS_MAX = 100_000

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedBreaker(options: CircuitBreakerOptions): BreakerRule {
  checkStageOptions('circuitBreaker', options, KNOWN)
  const { name, mode, slowMs, handle, shared, clock, random } = options
  const window = checkedWindow(options.window)
  const callsMax = window.kind === 'count' ? window.size : CALLS_MAX
  const openMs = options.openMs ?? DEFAULTS.openMs
  const rule: BreakerRule = {
    ...(name !== undefined && { name }),
    mode: mode ?? DEFAULTS.mode,
    window,
    failureRatio: options.failureRatio ?? DEFAULTS.failureRatio,
    slowMs: slowMs ?? Infinity,
    slowRatio: options.slowRatio ?? DEFAULTS.slowRatio,
    minCalls: options.minCalls ?? Math.min(DEFAULTS.minCalls, callsMax),
    openMs,
    openMsMax: options.openMsMax ?? Math.max(DEFAULTS.openMsMax, openMs),
    openJitter: options.openJitter ?? DEFAULTS.openJitter,
    halfOpenCalls: options.halfOpenCalls ?? DEFAULTS.halfOpenCalls,
    halfOpenMsMax: options.halfOpenMsMax ?? DEFAULTS.halfOpenMsMax,
    filter: filterOf(handle),
    shared: shared === undefined ? undefined : checkedShared(shared, name),
    clock: clock ?? systemClock,
    random: random ?? systemRandom,
  }
  checkNumber('failureRatio', rule.failureRatio, RATIO)
  checkNumber('slowRatio', rule.slowRatio, RATIO)
  if (slowMs !== undefined) checkMs('slowMs', slowMs, 1)
  checkInteger('minCalls', rule.minCalls, { min: 1, max: callsMax })
  checkMs('openMs', rule.openMs, 1)
  checkMs('openMsMax', rule.openMsMax, rule.openMs)
  checkNumber('openJitter', rule.openJitter, { min: 0, max: 1 })
  checkInteger('halfOpenCalls', rule.halfOpenCalls, { min: 1, max: 10_000 })
  checkMs('halfOpenMsMax', rule.halfOpenMsMax, 1)
  return rule
}

function checkedWindow(window: BreakerWindow = { kind: 'count' }): WindowRule {
  checkGivenKeys('window', window, window?.kind === 'time' ? KNOWN_OF_TIME : KNOWN_OF_COUNT)
  checkOneOf('window.kind', window.kind, ['count', 'time'])
  if (window.kind === 'count') {
    const { size = DEFAULTS.windowSize } = window
    checkInteger('window.size', size, { min: 1, max: CALLS_MAX })
    return { kind: 'count', size }
  }
  const { durationMs = DEFAULTS.windowDurationMs, buckets = DEFAULTS.windowBuckets } = window
  checkDurationMs('window.durationMs', durationMs, { min: 1_000, max: TTL_MS.max })
  checkInteger('window.buckets', buckets, { min: 1, max: 1_000 })
  return { kind: 'time', durationMs, buckets }
}

function checkedShared(shared: SharedBreaker, name: string | undefined): SharedRule {
  checkGivenKeys('shared', shared, KNOWN_OF_SHARED)
  const { backend, quorum = DEFAULTS.quorum, ttlMs = DEFAULTS.ttlMs, instance } = shared
  if (typeof backend?.records?.join !== 'function') {
    throw new InvalidArgumentError(
      'shared.backend',
      `Expected \`shared.backend\` to be a backend, got ${show(backend)}.`,
    )
  }
  if (name === undefined) {
    throw new InvalidArgumentError('name', 'Expected a shared circuitBreaker to have a `name`, got undefined.')
  }
  // It is a part of names in the store, which are no longer than others.
  checkName('name', `breaker/${name}/probe`)
  checkNumber('shared.quorum', quorum, RATIO)
  checkDurationMs('shared.ttlMs', ttlMs, TTL_MS)
  if (instance !== undefined) checkName('shared.instance', instance)
  return { backend, name, quorum, ttlMs, instance }
}
