import type { Clock } from '@holdfast/core'
import type { Call } from './call.ts'
import type { RejectedError } from './errors.ts'
import type { Rule } from './rule.ts'

/** How a call, or one attempt of it, ended. */
export interface Ended {
  /**
   * - `returned`, `threw`: the work settled, with `outcome` as its value or error. A timeout inside counts as `threw`.
   * - `cancelled`: its caller gave it up, by any reason but a timeout: it says nothing about what was called.
   * - `rejected`: a policy further in refused it: the work was not begun.
   */
  readonly kind: 'returned' | 'threw' | 'cancelled' | 'rejected'
  /** The value, or the error. */
  readonly outcome: unknown
  /** When it ended, by the pipeline's clock. */
  readonly atMs: number
  /** Since all gates beside this one had admitted it, in milliseconds. */
  readonly durationMs: number
}

interface StageFacts {
  /** The kind of the policy: `circuitBreaker`. */
  readonly policy: string
  readonly clock: Clock
  /** What it goes by now; undefined for a policy without settings. */
  readonly rule: Rule<StageOptions> | undefined
  /** Its state, for `describe()`: plain data. */
  describe(): Readonly<Record<string, unknown>>
  /** Gives back what it holds outside of calls: subscriptions, timers, registrations. */
  close?(): void
}

/**
 * - `enforce`: what the policy refuses is refused.
 * - `shadow`: it is only counted, and reported as `wouldRefuse`.
 * - `off`: the policy is not asked.
 */
export type Mode = 'enforce' | 'shadow' | 'off'

/** What all policies can be given. */
export interface StageOptions {
  /** What refusals, events and `describe()` call it. @default the kind of the policy */
  readonly name?: string
  /** @default 'enforce' */
  readonly mode?: Mode
}

/** What a gate answers: a ticket that it gets back with `leave`, or why not. */
export type Admission = number | RejectedError | Promise<number>

/**
 * A policy that admits or refuses, and is told how it ended. It never runs the work itself, so that gates that stand side by
 * side run as one function.
 *
 * The hot path of everything: `enter` and `leave` neither allocate nor throw, and take `call.nowMs` and `ended.atMs` for the time.
 */
export interface Gate extends StageFacts {
  readonly kind: 'gate'
  /**
   * At once where it can: a ticket, any number >= 0 that means something to this gate, or a refusal (`rejected(...)`, returned, not
   * thrown). Where it waits: a promise of a ticket, which rejects with a refusal, or with the reason when the call is cancelled.
   * In `shadow` it must not wait: what would wait is refused.
   */
  enter(call: Call): Admission
  /** Exactly once for each ticket whose call went on to the work. Where no gate of a run has it, nobody waits for the end. */
  leave?(call: Call, ticket: number, ended: Ended): void
  /** Instead of `leave`, when another gate refused: as if it had never been asked. */
  undo(call: Call, ticket: number): void
}

/** Does what is left of the pipeline, for a call: what it would throw it rejects with. */
export type Next = (call: Call) => Promise<unknown>

/**
 * Begins what is inside, by whoever has read the clock for `call` just now: as far as that runs without an await, nobody has to read
 * it again.
 */
export function beginAtOnce(call: Call, next: Next): Promise<unknown> {
  call.isNowFresh = true
  try {
    return next(call)
  } catch (error) {
    return Promise.reject(error)
  } finally {
    call.isNowFresh = false
  }
}

/** A policy that decides whether, when and how often what is inside it runs. */
export interface Layer extends StageFacts {
  readonly kind: 'layer'
  /** Whoever derives a call from `call` ends it (`end`). What rejects passes through, unless it is this policy's business. */
  run(call: Call, next: Next): Promise<unknown>
}

/** What a policy is inside a pipeline. */
export type Stage = Gate | Layer
