import type { Clock, Random } from '@holdfast/core'
import { reportListenerError, systemClock, systemRandom } from '@holdfast/core'
import type { Call } from '../call.ts'
import { checkFunction, checkInteger, checkMs, checkNumber, checkStageOptions } from '../checks.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Ended, Gate, StageOptions } from '../stage.ts'
import { AcceptWindow } from './accept-window.ts'
import { isRefusalOfCallee } from './refusal-of-callee.ts'

/** How `throttle` is made. */
export interface ThrottleOptions extends StageOptions {
  /**
   * K: calls are sent as long as they are at most so many times those that were accepted, 1 to 10. Smaller is stricter.
   *
   * @default 2
   */
  readonly multiplier?: number
  /** The time that is looked at, in milliseconds, 1,000 to 24.8 days. Longer than a call may take. @default 120000 */
  readonly windowMs?: number
  /** Below so many calls in the window nothing is refused. @default 5 */
  readonly minCalls?: number
  /** The highest ratio that is refused, 0 to 1: some go on asking how it is. @default 0.9 */
  readonly refuseRatioMax?: number
  /**
   * What the callee says when it refuses, by error or by value. Where it throws that is reported, and the call counts as accepted.
   *
   * @default a refusal or a timeout of a policy; `status` or `statusCode` 429 or 503
   */
  readonly isRefusal?: (outcome: unknown) => boolean
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

const KNOWN: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'multiplier',
  'windowMs',
  'minCalls',
  'refuseRatioMax',
  'isRefusal',
  'clock',
  'random',
])

/** What options are left out mean. */
export const THROTTLE_DEFAULTS: Readonly<{
  multiplier: number
  windowMs: number
  minCalls: number
  refuseRatioMax: number
}> = Object.freeze({ multiplier: 2, windowMs: 120_000, minCalls: 5, refuseRatioMax: 0.9 })

type Settings = ThrottleOptions & typeof THROTTLE_DEFAULTS

// However little is accepted, one call goes through each second: how else would it be known that the callee is well again?
const PASS_MS = 1_000

/**
 * Keeps calls at home that the callee would refuse: with r calls and a accepted ones in the window, a call is refused with probability
 * (r - K a) / (r + 1). Calls count when they are sent, those refused here too; one
 * that is not answered yet counts after a thirtieth of the window.
 *
 * @see Google SRE, chapter 21, client-side throttling; go-zero (a forced pass each second), failsafe-go (cap 0.9)
 */
export function throttle(options: LiveOptions<ThrottleOptions> = {}): Policy {
  return policyOf(new Throttle(openRule<ThrottleOptions, Settings>('throttle', options, checked)), {})
}

function checked(given: ThrottleOptions): Settings {
  checkStageOptions('throttle', given, KNOWN)
  const settings = { ...THROTTLE_DEFAULTS, ...given }
  checkNumber('multiplier', settings.multiplier, { min: 1, max: 10 })
  checkMs('windowMs', settings.windowMs, 1_000)
  checkInteger('minCalls', settings.minCalls, { min: 1, max: 1_000_000 })
  checkNumber('refuseRatioMax', settings.refuseRatioMax, { min: 0, max: 1 })
  checkFunction('isRefusal', settings.isRefusal)
  return settings
}

class Throttle implements Gate {
  readonly kind = 'gate'
  readonly policy = 'throttle'
  readonly clock: Clock
  readonly rule: Rule<Settings>
  readonly #random: Random
  #window: AcceptWindow
  #passedMs = -Infinity

  constructor(rule: Rule<Settings>) {
    const { clock = systemClock, random = systemRandom, windowMs } = rule.current
    this.rule = rule
    this.clock = clock
    this.#random = random
    this.#window = new AcceptWindow(windowMs)
    // What was counted over another window says nothing of this one.
    rule.onChange((next, previous) => {
      if (next.windowMs !== previous.windowMs) this.#window = new AcceptWindow(next.windowMs)
    })
  }

  enter({ nowMs }: Call): Admission {
    const ratio = this.#refuseRatio(nowMs)
    const ticket = this.#window.asked(nowMs)
    if (ratio === 0) return ticket
    if (this.#random.next() < ratio && nowMs - this.#passedMs < PASS_MS) {
      this.#window.answered(ticket, nowMs, false)
      return this.#refuse()
    }
    this.#passedMs = nowMs
    return ticket
  }

  leave(_call: Call, ticket: number, { kind, outcome, atMs }: Ended): void {
    if (kind === 'cancelled') return this.#window.forget(ticket, atMs)
    this.#window.answered(ticket, atMs, !this.#isRefusal(kind, outcome))
  }

  undo({ nowMs }: Call, ticket: number): void {
    this.#window.forget(ticket, nowMs)
  }

  describe(): Readonly<Record<string, unknown>> {
    const nowMs = this.clock.monotonicMs()
    const ratio = this.#refuseRatio(nowMs)
    return { requests: this.#window.requests, accepts: this.#window.accepts, refuseRatio: ratio }
  }

  #isRefusal(kind: Ended['kind'], outcome: unknown): boolean {
    if (kind === 'rejected') return true
    try {
      return (this.rule.current.isRefusal ?? isRefusalOfCallee)(outcome)
    } catch (error) {
      reportListenerError('resilience.isRefusal', error)
      return false
    }
  }

  #refuseRatio(nowMs: number): number {
    const { multiplier, minCalls, refuseRatioMax } = this.rule.current
    this.#window.advance(nowMs)
    const { requests, accepts } = this.#window
    if (requests < minCalls) return 0
    return Math.min(refuseRatioMax, Math.max(0, (requests - multiplier * accepts) / (requests + 1)))
  }

  #refuse(): Admission {
    const { current, version } = this.rule
    return rejected({
      policy: this.policy,
      rule: current.name ?? this.policy,
      ruleVersion: version,
      reason: 'throttled',
      retryAfterMs: PASS_MS,
    })
  }
}
