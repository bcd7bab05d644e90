import type { Clock } from '@holdfast/core'
import { Emitter } from '@holdfast/core'
import type { Event } from 'cockatiel'
import type { Call } from '../call.ts'
import type { RejectedError, Rejection, RejectionReason } from '../errors.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { isHeardByTools, tellTools } from '../policy.ts'
import type { Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Ended, Gate } from '../stage.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { wheelOf } from '../timer-wheel.ts'
import type { BulkheadOptions, BulkheadRule, GivenBulkheadOptions } from './options.ts'
import { checkedBulkhead } from './options.ts'
import { SLOT, WaitQueue } from './queue.ts'

/** What a bulkhead has besides what all policies have. */
interface BulkheadOwn {
  /** Slots that are free now. */
  readonly executionSlots: number
  /** Places in the queue that are free now. */
  readonly queueSlots: number
  /** A call was refused. */
  readonly onReject: Event<Rejection>
}

/** A bulkhead, as its users have it. */
export type BulkheadPolicy = Policy & BulkheadOwn

/**
 * Lets so many calls run at a time. Others wait in a bounded queue, or are refused.
 *
 * A slot that comes free is handed to whoever waits longest in the same moment, so nobody overtakes. A call that is given up while it
 * waits ends at once, and so does its claim to a place. One whose deadline passes meanwhile is refused, and not begun.
 *
 * A raised `limit` lets waiting calls in at once; a lowered one, or a lowered `queue`, cuts nobody off.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function bulkhead(options: GivenBulkheadOptions): BulkheadPolicy {
  const gate = new BulkheadGate(openRule<BulkheadOptions, BulkheadRule>('bulkhead', options, checkedBulkhead))
  return policyOf<BulkheadOwn>(gate, {
    get executionSlots(): number {
      return gate.executionSlots
    },
    get queueSlots(): number {
      return gate.queueSlots
    },
    onReject: gate.onReject,
  })
}

class BulkheadGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'bulkhead'
  readonly clock: Clock
  readonly rule: Rule<BulkheadRule>
  readonly wheel: TimerWheel
  readonly #queue: WaitQueue = new WaitQueue(this)
  readonly #events = new Emitter<{ rejected: Rejection }>('resilience.bulkhead')
  #inFlight = 0

  constructor(rule: Rule<BulkheadRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.wheel = wheelOf(this.clock)
    rule.onChange(() => this.#handOver(this.clock.monotonicMs()))
  }

  get executionSlots(): number {
    return Math.max(0, this.rule.current.limit - this.#inFlight)
  }

  get queueSlots(): number {
    return Math.max(0, this.rule.current.queue - this.#queue.count)
  }

  readonly onReject: Event<Rejection> = listener => {
    const subscription = this.#events.on('rejected', listener)
    return { dispose: () => subscription.close() }
  }

  enter(call: Call): Admission {
    const { limit, queue, queueMs, mode } = this.rule.current
    if (this.#inFlight < limit) {
      this.#inFlight += 1
      return SLOT
    }
    if (mode === 'shadow' || this.#queue.count >= queue) return this.refusal('queue-full')
    if (isHeardByTools()) tellTools(this, 'queued', { inFlight: this.#inFlight, queued: this.#queue.count + 1 })
    return this.#queue.join(call, queueMs)
  }

  leave(_call: Call, _ticket: number, ended: Ended): void {
    this.#inFlight -= 1
    if (this.#queue.count > 0) this.#handOver(ended.atMs)
  }

  undo(call: Call): void {
    this.#inFlight -= 1
    if (this.#queue.count > 0) this.#handOver(call.nowMs)
  }

  refusal(reason: RejectionReason): RejectedError {
    const { policy, rule } = this
    const error = rejected({
      policy,
      rule: rule.current.name ?? policy,
      ruleVersion: rule.version,
      reason,
      limit: rule.current.limit,
      inFlight: this.#inFlight,
    })
    if (rule.current.mode === 'enforce') this.#events.emit('rejected', error.rejection)
    return error
  }

  describe(): Readonly<Record<string, unknown>> {
    const { limit, queue } = this.rule.current
    return { inFlight: this.#inFlight, limit, queued: this.#queue.count, queue }
  }

  // Who waits when a bulkhead is switched off waits for nothing.
  #handOver(nowMs: number): void {
    const { limit, mode } = this.rule.current
    while ((this.#inFlight < limit || mode !== 'enforce') && this.#queue.serve(nowMs)) this.#inFlight += 1
  }
}
