import type { Clock } from '@holdfast/core'
import { InvalidArgumentError, show, systemClock } from '@holdfast/core'
import type { Call, CallContext } from '../call.ts'
import { checkFunction, checkInteger, checkStageOptions } from '../checks.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next, StageOptions } from '../stage.ts'

/** How `degrade` is made. */
export interface DegradeOptions<Alt> extends StageOptions {
  /** The level of degradation: a number, or a `Live` of one, such as `degradation(...)` or a setting of a config client. */
  readonly level: number
  /** From which level on the work is not done, 1 to 10. @default 1 */
  readonly from?: number
  /** What is done in its place. @default the call is refused: `degraded` */
  readonly instead?: (context: CallContext) => PromiseLike<Alt> | Alt
  /** @default systemClock */
  readonly clock?: Clock
}

const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'level', 'from', 'instead', 'clock'])

/** What options are left out mean. */
export const DEGRADE_DEFAULTS: Readonly<{ from: number }> = Object.freeze({ from: 1 })

type Settings<Alt> = DegradeOptions<Alt> & typeof DEGRADE_DEFAULTS

/**
 * Does without some work while a process is degraded: recommendations first, say, then search, last of all the checkout.
 *
 * @example
 * const level = degradation({ pressure: () => shedder.pressure })
 * const recommendations = degrade({ level, from: 1, instead: () => [] })
 * @throws {RejectedError} `HF_REJECTED` from calls at or above the level, where there is no `instead`.
 */
export function degrade<Alt = never>(options: LiveOptions<DegradeOptions<Alt>>): Policy<Alt> {
  return policyOf<object, Alt>(
    new Degrade(openRule<DegradeOptions<Alt>, Settings<Alt>>('degrade', options, checked)),
    {},
  )
}

function checked<Alt>(given: DegradeOptions<Alt>): Settings<Alt> {
  checkStageOptions('degrade', given, KNOWN)
  const settings = { ...DEGRADE_DEFAULTS, ...given }
  if (!Number.isFinite(settings.level)) {
    throw new InvalidArgumentError(
      'level',
      `Expected \`level\` to be a number or a Live of one, got ${show(given.level)}.`,
    )
  }
  checkInteger('from', settings.from, { min: 1, max: 10 })
  checkFunction('instead', settings.instead)
  return settings
}

class Degrade<Alt> implements Layer {
  readonly kind = 'layer'
  readonly policy = 'degrade'
  readonly clock: Clock
  readonly rule: Rule<Settings<Alt>>
  #degraded = 0

  constructor(rule: Rule<Settings<Alt>>) {
    this.rule = rule
    this.clock = rule.current.clock ?? systemClock
  }

  run(call: Call, next: Next): Promise<unknown> {
    const { level, from, mode } = this.rule.current
    if (level < from) return next(call)
    tellTools(this, mode === 'shadow' ? 'wouldDegrade' : 'degraded', { level })
    if (mode === 'shadow') return next(call)
    this.#degraded += 1
    return this.#instead(call)
  }

  describe(): Readonly<Record<string, unknown>> {
    return { level: this.rule.current.level, from: this.rule.current.from, degraded: this.#degraded }
  }

  async #instead(call: Call): Promise<unknown> {
    const { current, version } = this.rule
    if (current.instead !== undefined) return await current.instead(call)
    const { level } = current
    throw rejected({
      policy: this.policy,
      rule: current.name ?? this.policy,
      ruleVersion: version,
      reason: 'degraded',
      level,
    })
  }
}
