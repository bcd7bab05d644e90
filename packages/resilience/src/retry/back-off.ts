import type { Random } from '@holdfast/core'
import { InvalidArgumentError, reportListenerError, show } from '@holdfast/core'

/** How an attempt failed: by an error, or by a result that the filter takes for a failure. */
export type FailedAttempt = { readonly error: unknown } | { readonly value: unknown }

/** What a back-off of cockatiel is told. */
export interface BackoffContext {
  /** 1 before the first retry. */
  readonly attempt: number
  readonly signal: AbortSignal
  readonly result: FailedAttempt
}

interface BackoffStep {
  readonly duration: number
  next(context: never): BackoffStep
}

/** A back-off of cockatiel (3.2 or 4): `ConstantBackoff`, `ExponentialBackoff`, `IterableBackoff`, `DelegateBackoff`, or one's own. */
export interface BackoffFactory {
  next(context: never): BackoffStep
}

/** How long to sleep before each retry of one call. */
export interface Delays {
  /** @param makeContext what a back-off of cockatiel is told; its signal is made when it is read. */
  nextMs(makeContext: () => BackoffContext): number
}

/**
 * Full jitter: any time from 0 to `baseMs` doubled with each retry, and to `capMs` at most.
 *
 * @see Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015)
 */
export class FullJitter implements Delays {
  readonly #random: Random
  readonly #capMs: number
  #limitMs: number

  constructor(random: Random, baseMs: number, capMs: number) {
    this.#random = random
    this.#capMs = capMs
    this.#limitMs = baseMs
  }

  nextMs(): number {
    const limitMs = Math.min(this.#capMs, this.#limitMs)
    this.#limitMs *= 2
    return this.#random.next() * limitMs
  }
}

/** The steps of a back-off of cockatiel. Where it throws, or says what is no time, it is the last one that was. */
export class FactoryDelays implements Delays {
  #at: BackoffFactory
  #lastMs = 0

  constructor(factory: BackoffFactory) {
    this.#at = factory
  }

  nextMs(makeContext: () => BackoffContext): number {
    try {
      const step = this.#at.next(makeContext() as never)
      this.#at = step
      // An `IterableBackoff` of nothing has no duration at all.
      if (typeof step.duration === 'number' && step.duration >= 0) this.#lastMs = step.duration
    } catch (error) {
      reportListenerError('resilience.backoff', error)
    }
    return this.#lastMs
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no back-off. */
export function checkBackoff(value: unknown): void {
  if (value === undefined || typeof (value as Partial<BackoffFactory> | null)?.next === 'function') return
  throw new InvalidArgumentError('backoff', `Expected \`backoff\` to be a back-off of cockatiel, got ${show(value)}.`)
}
