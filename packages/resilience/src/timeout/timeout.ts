import type { Clock } from '@holdfast/core'
import { Emitter, systemClock } from '@holdfast/core'
import type { Event } from 'cockatiel'
import type { Call } from '../call.ts'
import { checkMs, checkOneOf, checkStageOptions } from '../checks.ts'
import type { RejectedError } from '../errors.ts'
import { rejected, timedOut } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next, StageOptions } from '../stage.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { wheelOf } from '../timer-wheel.ts'
import { Alarm } from './alarm.ts'
import type { Expiry } from './race.ts'
import { Race } from './race.ts'

/** @see timeout */
export interface TimeoutOptions extends StageOptions {
  /** How long what is inside may take, in milliseconds; it ends up to 10 ms later. */
  readonly timeoutMs: number
  /**
   * - `race`: the call rejects at its time, whether the work has stopped or not.
   * - `cooperative`: the work is told to stop, and waited for. If it returns all the same, that is the result.
   *
   * @default 'race'
   */
  readonly strategy?: 'race' | 'cooperative'
  /** Read once, when the policy is made. @default the system's clock */
  readonly clock?: Clock
}

/** What `onTimeout` tells. */
export interface TimedOut {
  /** The time that the call had: less than that of the rule where a deadline further out was nearer. */
  readonly timeoutMs: number
}

/** A timeout, as its users have it. */
export interface TimeoutPolicy extends Policy {
  /** A call ran out of time. Not told of calls whose caller gave them up. */
  readonly onTimeout: Event<TimedOut>
}

type TimeoutRule = TimeoutOptions & { readonly strategy: 'race' | 'cooperative'; readonly clock: Clock }

const KNOWN: ReadonlySet<string> = new Set(['timeoutMs', 'strategy', 'name', 'mode', 'clock'])

/**
 * Ends a call that takes too long: its signal aborts with the `TimeoutError` that it rejects with. Inside, the deadline is at that time
 * or nearer, for whatever looks at it. Where it stands says what it limits: outside of `retry` all attempts together, inside of it
 * each one.
 *
 * - A deadline further out that comes first ends the call just as well.
 * - A caller who gives up gets the reason of his own signal, and it is no timeout.
 * - After the work returned its signal does not abort, so what it returned can still be read.
 *
 * In `shadow` it only tells tools which calls it would have ended (`wouldTimeOut`).
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function timeout(options: LiveOptions<TimeoutOptions>): TimeoutPolicy {
  const layer = new TimeoutLayer(openRule<TimeoutOptions, TimeoutRule>('timeout', options, checked))
  return policyOf(layer, { onTimeout: layer.onTimeout })
}

function checked(options: TimeoutOptions): TimeoutRule {
  checkStageOptions('timeout', options, KNOWN)
  checkMs('timeoutMs', options.timeoutMs, 1)
  const { strategy = 'race', clock = systemClock } = options
  checkOneOf('strategy', strategy, ['race', 'cooperative'])
  return { ...options, strategy, clock }
}

class TimeoutLayer implements Layer, Expiry {
  readonly kind = 'layer'
  readonly policy = 'timeout'
  readonly clock: Clock
  readonly rule: Rule<TimeoutRule>
  readonly #events = new Emitter<{ timedOut: TimedOut }>('resilience.timeout')
  readonly #wheel: TimerWheel
  #timedOut = 0
  #wouldTimeOut = 0

  constructor(rule: Rule<TimeoutRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.#wheel = wheelOf(this.clock)
  }

  readonly onTimeout: Event<TimedOut> = listener => {
    const subscription = this.#events.on('timedOut', listener)
    return { dispose: () => subscription.close() }
  }

  run(call: Call, next: Next): Promise<unknown> {
    if (call.isCancelled) return Promise.reject(call.reason)
    const { timeoutMs, strategy, mode } = this.rule.current
    call.readClock()
    const { nowMs } = call
    if (mode === 'shadow') return this.#watch(call, next, nowMs)
    const deadlineMs = Math.min(call.deadlineMs, nowMs + timeoutMs)
    if (deadlineMs <= nowMs) return Promise.reject(this.#refusal())
    const inner = call.derive()
    inner.nowMs = nowMs
    inner.deadlineMs = deadlineMs
    if (strategy === 'cooperative') return this.#waitFor(inner, next)
    return new Race(inner, this.#wheel, this).run(next)
  }

  expire(inner: Call, limitMs: number): void {
    if (inner.isCancelled) return
    const timeoutMs = Math.ceil(limitMs)
    this.#timedOut += 1
    inner.cancel(timedOut(timeoutMs, this.rule.current.name ?? this.policy))
    tellTools(this, 'timedOut', { timeoutMs })
    this.#events.emit('timedOut', { timeoutMs })
  }

  describe(): Readonly<Record<string, unknown>> {
    return { timeoutMs: this.rule.current.timeoutMs, timedOut: this.#timedOut, wouldTimeOut: this.#wouldTimeOut }
  }

  async #waitFor(inner: Call, next: Next): Promise<unknown> {
    const timeoutMs = inner.deadlineMs - inner.nowMs
    const alarm = new Alarm(() => this.expire(inner, timeoutMs))
    this.#wheel.add(alarm, inner.nowMs, timeoutMs)
    try {
      return await next(inner)
    } catch (error) {
      // Much of what takes a signal rejects with an error of its own, and leaves out why.
      throw alarm.hasRung && isAbortError(error) ? inner.reason : error
    } finally {
      this.#wheel.remove(alarm)
      inner.end()
    }
  }

  async #watch(call: Call, next: Next, nowMs: number): Promise<unknown> {
    const { timeoutMs } = this.rule.current
    const alarm = new Alarm(() => {
      this.#wouldTimeOut += 1
      tellTools(this, 'wouldTimeOut', { timeoutMs })
    })
    this.#wheel.add(alarm, nowMs, timeoutMs)
    try {
      return await next(call)
    } finally {
      this.#wheel.remove(alarm)
    }
  }

  #refusal(): RejectedError {
    const { current, version } = this.rule
    const rule = current.name ?? this.policy
    const refusal = rejected({ policy: this.policy, rule, ruleVersion: version, reason: 'deadline' })
    tellTools(this, 'refused', { rejection: refusal.rejection })
    return refusal
  }
}

function isAbortError(error: unknown): boolean {
  return (error as { readonly name?: unknown } | null | undefined)?.name === 'AbortError'
}
