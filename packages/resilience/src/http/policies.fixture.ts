import { systemClock } from '@holdfast/core'
import type { Call } from '../call.ts'
import type { Rejection } from '../errors.ts'
import { rejected, timedOut } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import type { Ended, Gate, Layer } from '../stage.ts'

const FACTS = { clock: systemClock, rule: undefined, describe: () => ({}) } as const

/** Admits all, and notes how each call ended. */
export function noting(): Policy & { readonly calls: Call[]; readonly ends: Ended[] } {
  const calls: Call[] = []
  const ends: Ended[] = []
  const stage: Gate = {
    ...FACTS,
    kind: 'gate',
    policy: 'noting',
    enter: call => calls.push(call),
    leave: (_call, _ticket, ended) => void ends.push(ended),
    undo: () => {},
  }
  return policyOf(stage, { calls, ends })
}

/** Refuses all. */
export function refusing(rejection: Partial<Rejection> = {}): Policy {
  const whole: Rejection = { policy: 'limit', rule: 'limit', ruleVersion: 1, reason: 'queue-full', ...rejection }
  return policyOf(
    { ...FACTS, kind: 'gate', policy: 'limit', enter: () => rejected(whole), leave: () => {}, undo: () => {} },
    {},
  )
}

/** Ends each call by a timeout when it is told. */
export function timeoutByHand(): Policy & { fire(): void } {
  let fire = (): void => {}
  const stage: Layer = {
    ...FACTS,
    kind: 'layer',
    policy: 'timeout',
    run: (call, next) =>
      new Promise((resolve, reject) => {
        const inner = call.derive()
        fire = () => {
          const error = timedOut(5, 'by hand')
          inner.cancel(error)
          reject(error)
        }
        next(inner).then(resolve, reject)
      }),
  }
  return policyOf(stage, { fire: () => fire() })
}

/** Tries so often, one at once after the other. */
export function trying(attempts: number): Policy & { readonly seen: unknown[] } {
  const seen: unknown[] = []
  const stage: Layer = {
    ...FACTS,
    kind: 'layer',
    policy: 'trying',
    async run(call, next) {
      for (let attempt = 1; ; attempt += 1) {
        const inner = call.derive()
        inner.attempt = attempt
        try {
          return await next(inner)
        } catch (error) {
          seen.push(error)
          if (attempt === attempts) throw error
        } finally {
          inner.end()
        }
      }
    },
  }
  return policyOf(stage, { seen })
}

/** Answers in place of what fails. */
export function answering(value: unknown): Policy<unknown> {
  const stage: Layer = {
    ...FACTS,
    kind: 'layer',
    policy: 'answering',
    run: (call, next) => next(call).catch(() => value),
  }
  return policyOf<object, unknown>(stage, {})
}
