import type { Clock } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import type { Call } from '../call.ts'
import { checkStageOptions } from '../checks.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next, StageOptions } from '../stage.ts'
import { tierOf } from './priority-level.ts'
import type { TurnQueue } from './turn-queue.ts'
import { turnQueueOf } from './turn-queue.ts'

const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'clock'])

/** How `ownTurn` is made. */
export interface OwnTurnOptions extends StageOptions {
  /** @default systemClock */
  readonly clock?: Clock
}

/**
 * Starts each call in a turn of the event loop of its own: higher priorities first, and of one priority first come, first served; who has
 * waited for half a second goes before all. For handlers that use the CPU for a
 * millisecond or more at a time: between any two the loop reads and refuses what has come meanwhile, and `shed` knows how long the
 * queue is. A call whose deadline passes in the queue is refused (`deadline`), and one that is aborted leaves it.
 *
 * It stands inside the policies that admit: `pipeline(shed(), ownTurn())`.
 */
export function ownTurn(options: LiveOptions<OwnTurnOptions> = {}): Policy {
  const rule = openRule<OwnTurnOptions, OwnTurnOptions>('ownTurn', options, given => {
    checkStageOptions('ownTurn', given, KNOWN)
    return given
  })
  return policyOf(new OwnTurn(rule), {})
}

class OwnTurn implements Layer {
  readonly kind = 'layer'
  readonly policy = 'ownTurn'
  readonly clock: Clock
  readonly rule: Rule<OwnTurnOptions>
  readonly #queue: TurnQueue

  constructor(rule: Rule<OwnTurnOptions>) {
    this.rule = rule
    this.clock = rule.current.clock ?? systemClock
    this.#queue = turnQueueOf(this.clock)
  }

  run(call: Call, next: Next): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        stopListening()
        if (call.deadlineMs <= this.clock.monotonicMs()) return reject(this.#tooLate())
        try {
          resolve(next(call))
        } catch (error) {
          reject(error)
        }
      }
      const leave = this.#queue.add(tierOf(call.priority), start)
      const stopListening = call.onCancel(reason => {
        leave()
        reject(reason)
      })
    })
  }

  describe(): Readonly<Record<string, unknown>> {
    return { queued: this.#queue.length, waitMs: this.#queue.waitMs }
  }

  #tooLate(): Error {
    const { current, version } = this.rule
    return rejected({
      policy: this.policy,
      rule: current.name ?? this.policy,
      ruleVersion: version,
      reason: 'deadline',
    })
  }
}
