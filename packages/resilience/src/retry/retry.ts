import type { Clock } from '@holdfast/core'
import { Emitter, reportListenerError } from '@holdfast/core'
import type { Event } from 'cockatiel'
import type { Call, CallBudget } from '../call.ts'
import { codeOf, isRejection } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Next } from '../stage.ts'
import type { Delays, FailedAttempt } from './back-off.ts'
import { FactoryDelays, FullJitter } from './back-off.ts'
import type { RetryOptions, RetryRule } from './options.ts'
import { checkedRetry } from './options.ts'
import { retryAfterOf } from './retry-after.ts'
import type { RetryBudget } from './retry-budget.ts'
import { retryBudget } from './retry-budget.ts'
import { sleepWithin } from './sleep.ts'

/** What `onRetry` tells, before the sleep. */
export interface Retried {
  /** The attempt to come: 2 for the first retry. */
  readonly attempt: number
  readonly delayMs: number
  /** Why: the error, or the failed result. */
  readonly failure: FailedAttempt
}

/**
 * Why a failure that could be retried was not: all attempts are made, the time that is left is too short, it was told to come again
 * much later, the budget is used up, or a retry further out is retrying already.
 */
export type GaveUpBecause = 'attempts' | 'deadline' | 'retry-after' | 'budget' | 'nested'

/** What `onGiveUp` tells. */
export interface GaveUp {
  readonly attempts: number
  readonly because: GaveUpBecause
  readonly failure: FailedAttempt
}

/** A retry, as its users have it. */
export interface RetryPolicy extends Policy {
  readonly onRetry: Event<Retried>
  readonly onGiveUp: Event<GaveUp>
}

/**
 * Does it again when it failed, after a sleep. When it gives up, the last error is thrown as it is, or the last failed result returned.
 *
 * - Never done again: what a policy refused, what its caller gave up, a misuse (`HF_INVALID_ARGUMENT`), a reused idempotency key.
 *   An attempt that timed out is.
 * - It never begins an attempt after the call's deadline, and an abort ends a sleep at once.
 * - Retries are paid from a budget, so that they add little to what an ailing service has to bear.
 * - Retries do not multiply: what is done again by a retry further out is tried once by each one inside of it. Three retries of three
 *   attempts inside each other make 7 calls at most, not 27.
 *
 * In `shadow` it does nothing again, and tells tools what it would have (`wouldRetry`).
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function retry(options: LiveOptions<RetryOptions> = {}): RetryPolicy {
  const layer = new RetryLayer(openRule<RetryOptions, RetryRule>('retry', options, checkedRetry))
  const events = { onRetry: layer.on('retried'), onGiveUp: layer.on('gaveUp') }
  return policyOf(layer, events)
}

/** What one call goes by, from its beginning to its end. */
interface Terms {
  readonly rule: RetryRule
  readonly budget: CallBudget | undefined
}

interface RetryEvents {
  retried: Retried
  gaveUp: GaveUp
}

const NEVER_RETRIED: ReadonlySet<unknown> = new Set(['HF_INVALID_ARGUMENT', 'HF_KEY_REUSED', 'HF_INVARIANT'])

class RetryLayer implements Layer {
  readonly kind = 'layer'
  readonly policy = 'retry'
  readonly clock: Clock
  readonly rule: Rule<RetryRule>
  readonly #events = new Emitter<RetryEvents>('resilience.retry')
  readonly #ownBudget: RetryBudget
  #retries = 0
  #wouldRetry = 0
  readonly #gaveUp: Record<GaveUpBecause, number> = { attempts: 0, deadline: 0, 'retry-after': 0, budget: 0, nested: 0 }

  constructor(rule: Rule<RetryRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.#ownBudget = retryBudget({ clock: this.clock })
  }

  on<Name extends keyof RetryEvents>(name: Name): Event<RetryEvents[Name]> {
    return listener => {
      const subscription = this.#events.on(name, listener)
      return { dispose: () => subscription.close() }
    }
  }

  // The first attempt is the call itself: most have no second one.
  run(call: Call, next: Next): Promise<unknown> {
    if (call.isCancelled) return Promise.reject(call.reason)
    const rule = this.rule.current
    const terms = { rule, budget: this.#budgetOf(call, rule) }
    return next(call).then(
      value => (rule.filter.isFailedResult(value) ? this.#again(call, next, terms, { value }) : value),
      (error: unknown) => this.#again(call, next, terms, { error }),
    )
  }

  describe(): Readonly<Record<string, unknown>> {
    const { maxAttempts, budget = this.#ownBudget } = this.rule.current
    const facts = { maxAttempts, retries: this.#retries, wouldRetry: this.#wouldRetry, gaveUp: { ...this.#gaveUp } }
    return budget === false ? facts : { ...facts, budgetBalance: budget.balance }
  }

  async #again(call: Call, next: Next, terms: Terms, first: FailedAttempt): Promise<unknown> {
    const { rule } = terms
    const delays = delaysOf(rule)
    let failure = first
    for (let attempt = 1; isRetriable(call, rule, failure); attempt += 1) {
      const backOffMs = backOffOf(call, delays, { attempt, failure })
      const toldMs = toldMsOf(rule, failure, this.clock)
      const delayMs = Math.max(backOffMs, toldMs)
      const obstacle = this.#obstacle(call, terms, { attempt, delayMs, toldMs })
      if (obstacle !== undefined) {
        if (obstacle !== 'shadow') this.#giveUp({ attempts: attempt, because: obstacle, failure })
        break
      }
      this.#tellRetry({ attempt: attempt + 1, delayMs, failure })
      if (delayMs > 0) await sleepWithin(call, delayMs)
      const inner = call.derive()
      inner.attempt = call.attempt + attempt
      try {
        const value = await next(inner)
        if (!rule.filter.isFailedResult(value)) return value
        failure = { value }
      } catch (error) {
        failure = { error: followed(error, failure) }
      } finally {
        inner.end()
      }
    }
    return outcomeOf(failure)
  }

  // Who puts a budget on the call pays for it; inside of that nobody does a second time.
  #budgetOf(call: Call, rule: RetryRule): CallBudget | undefined {
    if (rule.budget === false) return undefined
    const own = rule.budget ?? (call.budget === undefined ? this.#ownBudget : undefined)
    if (own === undefined) return call.budget
    if (call.budget !== own) own.deposit()
    // In shadow it changes nothing further in either.
    if (rule.mode !== 'shadow') call.budget ??= own
    return own
  }

  #obstacle(
    call: Call,
    { rule, budget }: Terms,
    { attempt, delayMs, toldMs }: { readonly attempt: number; readonly delayMs: number; readonly toldMs: number },
  ): GaveUpBecause | 'shadow' | undefined {
    if (attempt >= rule.maxAttempts) return 'attempts'
    if (call.attempt > 1 && rule.budget !== false) return 'nested'
    if (delayMs >= call.remainingMs) return 'deadline'
    if (toldMs > rule.retryAfterMsMax) return 'retry-after'
    if (rule.mode === 'shadow') {
      this.#wouldRetry += 1
      tellTools(this, 'wouldRetry', { attempt: attempt + 1, delayMs })
      return 'shadow'
    }
    return budget?.tryWithdraw() === false ? 'budget' : undefined
  }

  #tellRetry(retried: Retried): void {
    this.#retries += 1
    tellTools(this, 'retried', { ...retried })
    this.#events.emit('retried', retried)
  }

  #giveUp(gaveUp: GaveUp): void {
    this.#gaveUp[gaveUp.because] += 1
    tellTools(this, gaveUp.because === 'budget' ? 'retryBudgetExhausted' : 'gaveUp', { ...gaveUp })
    this.#events.emit('gaveUp', gaveUp)
  }
}

function isRetriable(call: Call, { filter }: RetryRule, failure: FailedAttempt): boolean {
  if (call.isCancelled) return false
  if ('value' in failure) return true
  const { error } = failure
  if (isRejection(error) || NEVER_RETRIED.has(codeOf(error)) || saysNo(error)) return false
  return filter.isFailure(error)
}

// An error may know that the same again is no use, as that of a request whose body is spent.
function saysNo(error: unknown): boolean {
  return (error as { readonly isRetryable?: unknown } | null | undefined)?.isRetryable === false
}

// A refusal after failures, of a breaker that opened meanwhile say, hides what it was that failed.
function followed(error: unknown, before: FailedAttempt): unknown {
  if (!isRejection(error) || !('error' in before) || !(error instanceof Error) || error.cause !== undefined)
    return error
  error.cause = before.error
  return error
}

function delaysOf({ backoff, random, baseMs, capMs }: RetryRule): Delays {
  return backoff === undefined ? new FullJitter(random, baseMs, capMs) : new FactoryDelays(backoff)
}

function backOffOf(
  call: Call,
  delays: Delays,
  { attempt, failure }: { readonly attempt: number; readonly failure: FailedAttempt },
): number {
  return delays.nextMs(() => ({
    attempt,
    get signal() {
      return call.signal
    },
    result: failure,
  }))
}

/** How long the failure says to wait: 0 where it says nothing. */
function toldMsOf({ retryAfter }: RetryRule, failure: FailedAttempt, clock: Clock): number {
  const outcome = 'error' in failure ? failure.error : failure.value
  try {
    const ms = retryAfter === undefined ? retryAfterOf(outcome, clock.wallMs()) : retryAfter(outcome)
    return typeof ms === 'number' && ms > 0 ? ms : 0
  } catch (error) {
    reportListenerError('resilience.retryAfter', error)
    return 0
  }
}

function outcomeOf(failure: FailedAttempt): unknown {
  if ('error' in failure) throw failure.error
  return failure.value
}
