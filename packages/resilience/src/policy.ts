import type { Subscription } from '@holdfast/core'
import { Emitter, eventPoint } from '@holdfast/core'
import type { Event, IDisposable, IFailureEvent, IPolicy, ISuccessEvent } from 'cockatiel'
import type { Call, CallContext, CallOptions } from './call.ts'
import type { RejectedError, Rejection } from './errors.ts'
import { isRejection, isTimeout } from './errors.ts'
import type { Ended, Mode, Stage, StageOptions } from './stage.ts'

/** What `describe()` says of a policy. */
export interface PolicyDescription {
  readonly policy: string
  readonly name: string
  readonly mode: string
  readonly ruleVersion: number
  /** Why the last change of its rule was refused, as text; undefined when it was accepted. */
  readonly ruleRefusal: string | undefined
  /** Calls since the policy was made: let in, refused, and those that `shadow` would have refused. */
  readonly admitted: number
  readonly refused: number
  readonly wouldRefuse: number
  /** What is its own: a breaker's state, the calls in flight, … */
  readonly state: Readonly<Record<string, unknown>>
}

/**
 * What makes calls safer: one policy, or a pipeline of them. It is a policy of cockatiel too (3.2 and 4), so it stands in
 * cockatiel's `wrap`, as cockatiel's policies stand in a `pipeline`.
 */
export interface Policy<Alt = never> extends IPolicy<CallContext, Alt>, Disposable {
  /**
   * Runs `work` as the policy allows. With the signal of another call of ours, or inside `wrap`, it is part of that call: it shares
   * its deadline, its priority and its budget of retries.
   *
   * @throws {RejectedError} `HF_REJECTED` when the policy refuses: `work` was not begun.
   * @throws {TimeoutError} `HF_TIMEOUT`
   */
  execute<T>(work: (context: CallContext) => PromiseLike<T> | T, options?: AbortSignal | CallOptions): Promise<T | Alt>
  /** `work`, as a function that runs under the policy. `this` and the arguments are passed on. */
  wrap<This, Args extends unknown[], T>(
    work: (this: This, ...args: Args) => PromiseLike<T> | T,
    options?: WrapOptions<Args>,
  ): (this: This, ...args: Args) => Promise<T | Alt>
  readonly onSuccess: Event<ISuccessEvent>
  readonly onFailure: Event<IFailureEvent>
  /** What state it is in. */
  describe(): PolicyDescription
  /** Follows its `Live` settings no more, and gives back what it holds. Calls go on as the rule was last. */
  close(): void
}

/** What a wrapped function tells its policy of each call. */
export interface WrapOptions<Args extends readonly unknown[]> {
  /** What `CallOptions` to use, from the arguments: a key, a priority, … */
  readonly options?: (...args: Args) => CallOptions
}

/** What `holdfast:resilience.event` carries. */
export interface ResilienceEvent {
  /** `refused`, `wouldRefuse`, and what the policies tell besides: `opened`, `retried`, `timedOut`, … */
  readonly event: string
  readonly policy: string
  readonly rule: string
  /** Of refusals. */
  readonly rejection?: Rejection
  readonly [fact: string]: unknown
}

const resilienceEvent = eventPoint<ResilienceEvent>('resilience.event')

/**
 * What stands around a stage, whatever it is: who it is, its counters, and who listens. A policy's own events go through `tell`.
 */
export class Probe {
  readonly stage: Stage
  admitted = 0
  refused = 0
  wouldRefuse = 0
  /** Whether anybody listens to `onSuccess` or `onFailure`: what nobody hears is not made. */
  isHeard = false
  mode: Mode = 'enforce'
  readonly #emitter = new Emitter<{ success: ISuccessEvent; failure: IFailureEvent }>('resilience')
  #listeners = 0

  constructor(stage: Stage) {
    this.stage = stage
    const follow = ({ mode }: StageOptions): void => void (this.mode = mode ?? 'enforce')
    if (stage.rule !== undefined) follow(stage.rule.current)
    stage.rule?.onChange(follow)
  }

  get name(): string {
    return this.stage.rule?.current.name ?? this.stage.policy
  }

  readonly onSuccess: Event<ISuccessEvent> = listener => this.#listen(this.#emitter.on('success', listener))
  readonly onFailure: Event<IFailureEvent> = listener => this.#listen(this.#emitter.on('failure', listener))

  /** Counts a refusal and tells of it. Whether it stands: in `shadow` it does not. */
  refuses(error: RejectedError): boolean {
    const stands = this.mode !== 'shadow'
    if (stands) this.refused += 1
    else this.wouldRefuse += 1
    if (resilienceEvent.isHeard) {
      const { rejection } = error
      const event = stands ? 'refused' : 'wouldRefuse'
      resilienceEvent.publish({ event, policy: rejection.policy, rule: rejection.rule, rejection })
    }
    if (stands && this.isHeard) this.#emitter.emit('failure', failureEvent(0, error))
    return stands
  }

  /** Tells those who listen how a call ended. */
  tellEnd({ kind, outcome, durationMs }: Ended): void {
    if (kind === 'returned') this.#emitter.emit('success', { duration: durationMs })
    else this.#emitter.emit('failure', failureEvent(durationMs, outcome))
  }

  describe(): PolicyDescription {
    const { stage } = this
    return {
      policy: stage.policy,
      name: this.name,
      mode: this.mode,
      ruleVersion: stage.rule?.version ?? 1,
      ruleRefusal: stage.rule?.refusal?.message,
      admitted: this.admitted,
      refused: this.refused,
      wouldRefuse: this.wouldRefuse,
      state: stage.describe(),
    }
  }

  #listen(subscription: Subscription): IDisposable {
    this.#listeners += 1
    this.isHeard = true
    let isOpen = true
    return {
      dispose: () => {
        if (!isOpen) return
        isOpen = false
        subscription.close()
        this.#listeners -= 1
        this.isHeard = this.#listeners > 0
      },
    }
  }
}

// cockatiel 3 says `Error` where 4 says `unknown`.
function failureEvent(duration: number, error: unknown): IFailureEvent {
  return { duration, handled: true, reason: { error: error as Error } }
}

/** Tells tools of a decision: on `holdfast:resilience.event`. Ask `isHeardByTools` before making facts that cost something. */
export function tellTools(stage: Stage, event: string, facts: Readonly<Record<string, unknown>> = {}): void {
  if (!resilienceEvent.isHeard) return
  const rule = stage.rule?.current.name ?? stage.policy
  resilienceEvent.publish({ ...facts, event, policy: stage.policy, rule })
}

/** Whether any tool listens to `holdfast:resilience.event`. */
export function isHeardByTools(): boolean {
  return resilienceEvent.isHeard
}

/** How a call ended, from what its work did. */
export function endedOf(call: Call, isError: boolean, outcome: unknown, startedAtMs: number): Ended {
  const atMs = call.clock.monotonicMs()
  return { kind: isError ? kindOf(call, outcome) : 'returned', outcome, atMs, durationMs: atMs - startedAtMs }
}

function kindOf(call: Call, error: unknown): Ended['kind'] {
  if (isRejection(error)) return 'rejected'
  return call.isCancelled && !isTimeout(call.reason) ? 'cancelled' : 'threw'
}
