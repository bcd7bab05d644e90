import type { Clock } from '@holdfast/core'
import { onAbort, systemClock } from '@holdfast/core'
import type { IDefaultPolicyContext } from 'cockatiel'
import { keepShape } from './keep-shape.ts'

/** How much a call matters, from what is shed last to what is shed first. */
export const PRIORITIES = ['critical', 'high', 'normal', 'low', 'background'] as const

/** @see PRIORITIES */
export type Priority = (typeof PRIORITIES)[number]

/** What a caller may say of one call. */
export interface CallOptions {
  /** Ends the call when it aborts: waits and sleeps at once, the work by its own signal. */
  readonly signal?: AbortSignal | undefined
  /** How long the call may take altogether, in milliseconds; it is never retried later than that. 0: its time is over already. */
  readonly timeoutMs?: number | undefined
  /** @default that of the call around it, else 'normal' */
  readonly priority?: Priority | undefined
  /** Whom or what keyed policies count: a tenant, a user, a product. */
  readonly key?: string | undefined
  /** What rate limits count it for. @default 1 */
  readonly cost?: number | undefined
  /** That the work may be done twice without harm: what is hedged must say so. @default false */
  readonly idempotent?: boolean | undefined
  /** See `idempotent()`. */
  readonly idempotencyKey?: string | undefined
  /** What the idempotency key stands for: another request with the same key is refused. Hashed as canonical JSON. */
  readonly fingerprint?: unknown
}

/** What the work is told. */
export interface CallContext extends IDefaultPolicyContext {
  /** Aborts when the call is over for its caller. Made when it is first read. Pass it on: policies inside find this call by it. */
  readonly signal: AbortSignal
  /** 1 in the first attempt. */
  readonly attempt: number
  readonly priority: Priority
  readonly key: string | undefined
  /** Time left by the nearest deadline, in milliseconds, never below 0; `Infinity` when there is none. */
  readonly remainingMs: number
  /** Where `idempotent()` runs it: grows with each run of the key; what the work writes to can refuse an older one. */
  readonly fence: bigint | undefined
}

/** What budgets of retries and hedges have in common, as far as a call carries one. See `retryBudget()`. */
export interface CallBudget {
  /** Takes what one more attempt costs; false when there is not enough. */
  tryWithdraw(): boolean
}

type Work = (context: CallContext) => unknown

const signals = new WeakMap<AbortSignal, Call>()

/** The call that a signal was made for, if it is one of ours: so that policies inside others share a deadline and a budget. */
export function callOf(signal: AbortSignal | undefined): Call | undefined {
  return signal === undefined ? undefined : signals.get(signal)
}

/**
 * One call, or one attempt of it, on its way through policies. Attempts and timeouts derive a call of their own, which ends with
 * the one that it was derived from.
 *
 * It is made for every call, so it allocates nothing before it is needed: no signal, no listener.
 */
export class Call implements CallContext {
  readonly work: Work
  readonly parent: Call | undefined
  readonly clock: Clock
  /** The clock of its pipeline, as it was read last: by whoever admits calls, shortly before policies are asked. */
  nowMs: number
  /** Whether `nowMs` was read in the same synchronous run: see `beginAtOnce`. */
  isNowFresh = false
  /** By the pipeline's monotonic clock; Infinity when there is none. */
  deadlineMs: number
  attempt = 1
  priority: Priority = 'normal'
  key: string | undefined = undefined
  cost = 1
  idempotent = false
  idempotencyKey: string | undefined = undefined
  fingerprint: unknown = undefined
  fence: bigint | undefined = undefined
  /** Set by the outermost `retry` that has one, and shared by all inside. */
  budget: CallBudget | undefined = undefined
  readonly #outer: AbortSignal | undefined
  #isCancelled = false
  #reason: unknown = undefined
  #controller: AbortController | undefined = undefined
  #listeners: Set<(reason: unknown) => void> | undefined = undefined
  #unlink: (() => void) | undefined = undefined
  #isEnded = false

  constructor(
    work: Work,
    from: { readonly clock: Clock; readonly parent?: Call | undefined; readonly outer?: AbortSignal | undefined },
  ) {
    const { clock, parent, outer } = from
    this.work = work
    this.parent = parent
    this.clock = clock
    this.#outer = outer
    this.nowMs = parent === undefined ? -Infinity : parent.nowMs
    this.deadlineMs = Infinity
    if (parent !== undefined) this.takeFrom(parent)
  }

  /** What a call knows of itself, from another that it is a part of. */
  takeFrom(parent: Call): void {
    this.attempt = parent.attempt
    this.priority = parent.priority
    this.key = parent.key
    this.cost = parent.cost
    this.idempotent = parent.idempotent
    this.idempotencyKey = parent.idempotencyKey
    this.fingerprint = parent.fingerprint
    this.fence = parent.fence
    this.budget = parent.budget
    this.deadlineMs = parent.deadlineMs
  }

  /** Brings `nowMs` up to date. To read a clock costs more than a gate does, so it is not read twice in one synchronous run. */
  readClock(): void {
    if (!this.isNowFresh) this.nowMs = this.clock.monotonicMs()
  }

  /** A call that ends with this one, and can end before it. Whoever derives it calls `end` on it. */
  derive(): Call {
    return new Call(this.work, { clock: this.clock, parent: this })
  }

  /** Whether the call is over for its caller: by `cancel`, by the caller's signal, or by that of a call around it. */
  get isCancelled(): boolean {
    return this.#isCancelled || this.#outer?.aborted === true || this.parent?.isCancelled === true
  }

  /** Whether it can be over for its caller before it has settled: it has a caller who can say so. */
  get isCancellable(): boolean {
    return this.parent !== undefined || this.#outer !== undefined
  }

  get reason(): unknown {
    if (this.#isCancelled) return this.#reason
    if (this.#outer?.aborted === true) return this.#outer.reason as unknown
    return this.parent?.reason
  }

  get signal(): AbortSignal {
    return this.makeSignal()
  }

  makeSignal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    signals.set(controller.signal, this)
    if (this.isCancelled) controller.abort(this.reason)
    else this.#link()
    return controller.signal
  }

  get remainingMs(): number {
    return this.deadlineMs === Infinity ? Infinity : Math.max(0, this.deadlineMs - this.clock.monotonicMs())
  }

  /** Ends the call for its caller: its signal aborts, its waits are over. Once; later ones do nothing. */
  cancel(reason: unknown): void {
    if (this.isCancelled) return
    this.#isCancelled = true
    this.#reason = reason
    this.#tell(reason)
  }

  /** Calls `listener` when the call is cancelled, at once if it is. The returned function removes it. */
  onCancel(listener: (reason: unknown) => void): () => void {
    if (this.isCancelled) {
      listener(this.reason)
      return () => {}
    }
    this.#listeners ??= new Set()
    this.#listeners.add(listener)
    this.#link()
    return () => {
      this.#listeners?.delete(listener)
    }
  }

  /** The call has settled: it hears of nothing any more, and nobody holds it. Its signal does not abort by that. */
  end(): void {
    this.#isEnded = true
    if (this.#unlink === undefined) return
    this.#unlink()
    this.#unlink = undefined
  }

  #link(): void {
    // A signal that is first read after the end would hold the caller's for ever.
    if (this.#unlink !== undefined || this.#isEnded) return
    const hear = (reason: unknown): void => this.#tell(reason)
    const unlinkParent = this.parent?.onCancel(hear)
    const unlinkOuter = this.#outer === undefined ? undefined : onAbort(this.#outer, hear)
    this.#unlink = () => {
      unlinkParent?.()
      unlinkOuter?.()
    }
  }

  #tell(reason: unknown): void {
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener(reason)
    this.#controller?.abort(reason)
  }
}

const OWN_SIGNAL: PropertyDescriptor & ThisType<Call> = {
  get() {
    return (this as Call).makeSignal()
  },
  enumerable: true,
  configurable: true,
}

/**
 * Runs the work. cockatiel's `wrap` copies a context by spreading it, which leaves out what stands on the prototype: work that
 * takes an argument gets a signal of the object's own, still made on the first read.
 */
export function runWork(call: Call): unknown {
  const { work } = call
  if (work.length > 0) Object.defineProperty(call, 'signal', OWN_SIGNAL)
  return work(call)
}

keepShape(new Call(() => {}, { clock: systemClock }))
keepShape(Object.defineProperty(new Call(() => {}, { clock: systemClock }), 'signal', OWN_SIGNAL))
