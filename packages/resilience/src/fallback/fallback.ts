import type { Clock } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import type { Call, CallContext } from '../call.ts'
import { checkStageOptions } from '../checks.ts'
import type { FailureFilter, Filter } from '../filter.ts'
import { filterOf } from '../filter.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { isHeardByTools, tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Layer, Mode, Next, StageOptions } from '../stage.ts'

/** What a fallback stands in for: what was thrown, or a value that its filter takes for a failure. */
export type Failure =
  | { readonly error: unknown; readonly value?: undefined }
  | { readonly error?: undefined; readonly value: unknown }

/** Makes what is answered instead. */
export type FallbackFactory<Alt> = (failure: Failure, context: CallContext) => PromiseLike<Alt> | Alt

/** How a fallback is made. */
export interface FallbackOptions extends StageOptions {
  /**
   * What it stands in for: a function of the error, or a filter of cockatiel. That the caller gave the call up is never one.
   *
   * @default every error, refusals of policies as well
   */
  readonly handle?: FailureFilter
  /** @default systemClock */
  readonly clock?: Clock
}

/**
 * Answers with something else where the call fails: a value, or what a function makes of the failure.
 *
 * What that function throws is thrown, with the error that it was called for as its `cause` where it has none.
 *
 * @example
 * const prices = fallback(({ error }) => lastPrices(error))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function fallback<Alt>(factory: FallbackFactory<Alt>, options?: LiveOptions<FallbackOptions>): Policy<Alt>
export function fallback<Alt>(value: Alt, options?: LiveOptions<FallbackOptions>): Policy<Alt>
export function fallback(alternative: unknown, options: LiveOptions<FallbackOptions> = {}): Policy<unknown> {
  const factory = typeof alternative === 'function' ? (alternative as FallbackFactory<unknown>) : () => alternative
  const rule = openRule<FallbackOptions, FallbackRule>('fallback', options, checkedFallback)
  return policyOf<object, unknown>(new FallbackLayer(factory, rule), {})
}

interface FallbackRule extends StageOptions {
  readonly mode: Mode
  readonly filter: Filter
  readonly clock: Clock
}

const KNOWN: ReadonlySet<string> = new Set(['name', 'mode', 'handle', 'clock'])
const DEFAULTS = Object.freeze({ mode: 'enforce' as Mode, clock: systemClock })
const EVERY_ERROR: Filter = Object.freeze({ isFailure: () => true, isFailedResult: () => false })

function checkedFallback(options: FallbackOptions): FallbackRule {
  checkStageOptions('fallback', options, KNOWN)
  const { handle, ...rest } = options
  return { ...DEFAULTS, ...rest, filter: handle === undefined ? EVERY_ERROR : filterOf(handle) }
}

class FallbackLayer implements Layer {
  readonly kind = 'layer'
  readonly policy = 'fallback'
  readonly clock: Clock
  readonly rule: Rule<FallbackRule>
  readonly #factory: FallbackFactory<unknown>
  #fellBack = 0

  constructor(factory: FallbackFactory<unknown>, rule: Rule<FallbackRule>) {
    this.#factory = factory
    this.rule = rule
    this.clock = rule.current.clock
  }

  async run(call: Call, next: Next): Promise<unknown> {
    let value: unknown
    try {
      value = await next(call)
    } catch (error) {
      // Nobody waits for a call that was given up, by whatever reason.
      if (call.isCancelled || !this.rule.current.filter.isFailure(error) || !this.#stands({ error })) throw error
      return await this.#instead({ error }, call)
    }
    if (!this.rule.current.filter.isFailedResult(value) || !this.#stands({ value })) return value
    return await this.#instead({ value }, call)
  }

  describe(): Readonly<Record<string, unknown>> {
    return { fellBack: this.#fellBack }
  }

  // In shadow it is told, and nothing else.
  #stands(failure: Failure): boolean {
    const stands = this.rule.current.mode !== 'shadow'
    if (stands) this.#fellBack += 1
    if (isHeardByTools()) tellTools(this, stands ? 'fellBack' : 'wouldFallBack', { ...failure })
    return stands
  }

  async #instead(failure: Failure, call: Call): Promise<unknown> {
    try {
      return await this.#factory(failure, call)
    } catch (thrown) {
      if ('error' in failure) explain(thrown, failure.error)
      throw thrown
    }
  }
}

function explain(thrown: unknown, cause: unknown): void {
  if (!(thrown instanceof Error) || thrown === cause || thrown.cause !== undefined) return
  // It does nothing to an error that is frozen.
  Reflect.defineProperty(thrown, 'cause', { value: cause, writable: true, configurable: true, enumerable: false })
}
