import type { Clock } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import type { Call } from '../call.ts'
import { checkStageOptions } from '../checks.ts'
import { rejected } from '../errors.ts'
import type { Policy } from '../policy.ts'
import { policyOf } from '../pipeline.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Gate, StageOptions } from '../stage.ts'

/** @see deadline */
export interface DeadlineOptions extends StageOptions {
  /** Read once, when the policy is made. @default the system's clock */
  readonly clock?: Clock
}

const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'clock'])

/**
 * Refuses a call whose deadline has passed (reason `deadline`): nobody waits for its answer any more. The deadline is the nearest one
 * of those that a caller gave with `timeoutMs`, that came over headers (`callOptionsFromHeaders`) and that a `timeout` further out set.
 *
 * It ends no call that has begun: that is what `timeout` does.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function deadline(options: LiveOptions<DeadlineOptions> = {}): Policy {
  return policyOf(new DeadlineGate(openRule('deadline', options, checked)), {})
}

function checked(options: DeadlineOptions): DeadlineOptions {
  checkStageOptions('deadline', options, KNOWN)
  return { ...options }
}

class DeadlineGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'deadline'
  readonly clock: Clock
  readonly rule: Rule<DeadlineOptions>

  constructor(rule: Rule<DeadlineOptions>) {
    this.rule = rule
    this.clock = rule.current.clock ?? systemClock
  }

  enter(call: Call): Admission {
    if (call.deadlineMs > call.nowMs) return 0
    const { current, version } = this.rule
    return rejected({
      policy: this.policy,
      rule: current.name ?? this.policy,
      ruleVersion: version,
      reason: 'deadline',
    })
  }

  undo(): void {}

  describe(): Readonly<Record<string, unknown>> {
    return {}
  }
}
