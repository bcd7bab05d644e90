import type { Clock, Live } from '@holdfast/core'
import { LiveValue } from '@holdfast/core'
import type { Call } from '../call.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { isHeardByTools, tellTools } from '../policy.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Ended, Gate } from '../stage.ts'
import type { AdaptiveLimitOptions, AdaptiveRule } from './adaptive-options.ts'
import { checkAdaptive } from './adaptive-options.ts'
import type { HoldAction } from './hold-law.ts'
import { HoldLaw } from './hold-law.ts'
import { SampleWindow } from './sample-window.ts'
import { StartGuard } from './start-guard.ts'

/** What `adaptiveLimit` gives besides what all policies have. */
export interface AdaptiveLimit extends Policy {
  /** How many calls it lets be in flight now. */
  readonly limit: number
  readonly inFlight: number
  /** The limit as it changes: for a gauge, or as the `limit` of something else. */
  readonly limits: Live<number>
}

class AdaptiveGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'adaptiveLimit'
  readonly clock: Clock
  readonly rule: Rule<AdaptiveRule>
  readonly limits: LiveValue<number>
  inFlight = 0
  #limit: number
  #entered = 0
  /** Until when calls say nothing of how long one takes that does not queue: those before it are still among them. */
  #settledAtMs = 0
  #isDraining = false
  /** When the last call left, and none was in flight. */
  #emptySinceMs: number
  #last: Readonly<Record<string, unknown>> | undefined = undefined
  readonly #law: HoldLaw
  readonly #window: SampleWindow
  readonly #start = new StartGuard()

  constructor(rule: Rule<AdaptiveRule>) {
    this.rule = rule
    this.clock = rule.current.clock
    this.#law = new HoldLaw(rule.current)
    this.#emptySinceMs = this.clock.monotonicMs()
    this.#window = new SampleWindow(this.#emptySinceMs)
    this.#limit = Math.round(this.#law.limit)
    this.limits = new LiveValue(this.#limit)
    rule.onChange(next => {
      this.#law.clamp(next)
      this.#apply('held')
    })
  }

  get limit(): number {
    return this.#limit
  }

  enter({ nowMs }: Call): Admission {
    if (this.inFlight >= this.#limit) return this.#refusal()
    if (this.inFlight === 0 && nowMs - this.#emptySinceMs > REST_MS) this.#rested(nowMs)
    this.inFlight += 1
    if (this.inFlight > this.#window.inFlightMax) this.#window.inFlightMax = this.inFlight
    return ++this.#entered
  }

  leave(call: Call, ticket: number, ended: Ended): void {
    this.inFlight -= 1
    if (this.inFlight === 0) this.#emptySinceMs = ended.atMs
    if (this.#isDraining) this.#drain(ended.atMs)
    else if (ended.atMs >= this.#settledAtMs) this.#sample(call, ticket, ended)
  }

  undo(): void {
    this.inFlight -= 1
  }

  describe(): Readonly<Record<string, unknown>> {
    const baseMs = this.#law.baseMs === 0 ? undefined : this.#law.baseMs
    return { limit: this.#limit, inFlight: this.inFlight, baseMs, lastWindow: this.#last }
  }

  #sample(call: Call, ticket: number, ended: Ended): void {
    const window = this.#window
    const { kind, outcome, atMs, durationMs } = ended
    if (kind === 'returned' && !this.rule.current.drops.isFailedResult(outcome)) {
      window.successes += 1
      window.sumMs += durationMs
      if (this.#law.baseMs === 0 && this.#queues(ticket, durationMs)) return this.#startOver(atMs)
    } else if (this.#isDrop(call, ended)) window.drops += 1
    else return
    const baseMs = this.#baseMs()
    if (window.isStale(atMs, baseMs)) window.reset(atMs, this.inFlight)
    else if (window.isFull(atMs, baseMs)) this.#endWindow(atMs)
  }

  #queues(ticket: number, durationMs: number): boolean {
    return this.#start.sees(durationMs, ticket, this.#entered - this.inFlight, this.inFlight)
  }

  #baseMs(): number {
    const { successes, avgMs } = this.#window
    if (this.#law.baseMs > 0) return this.#law.baseMs
    return successes === 0 ? 0 : FIRST_WINDOW_TIMES * avgMs
  }

  #isDrop(call: Call, { kind, outcome }: Ended): boolean {
    if (kind === 'returned') return true
    if (kind === 'cancelled') return false
    // What was ended by a timeout around it may throw whatever it likes.
    return this.rule.current.drops.isFailure(outcome) || (kind === 'threw' && call.isCancelled)
  }

  #endWindow(nowMs: number): void {
    const window = this.#window
    const action = this.#law.update(window, nowMs, this.rule.current)
    this.#last = {
      action,
      ms: nowMs - window.sinceMs,
      successes: window.successes,
      drops: window.drops,
      avgMs: window.successes === 0 ? undefined : window.avgMs,
      inFlightMax: window.inFlightMax,
    }
    this.#apply(action)
    window.reset(nowMs, this.inFlight)
    if (action === 'probed') this.#isDraining = true
  }

  #startOver(nowMs: number): void {
    const { successes, sinceMs } = this.#window
    this.#law.startOver(this.#start.firstMs, successes / (nowMs - sinceMs), nowMs, this.rule.current)
    this.#apply('cut')
    this.#isDraining = true
    this.#window.reset(nowMs, this.inFlight)
  }

  /** What was seen before is over: a window of both would take the rest for calls that were served slowly. */
  #rested(nowMs: number): void {
    this.#law.rest(this.rule.current)
    this.#apply('held')
    this.#isDraining = false
    this.#window.reset(nowMs, 0)
  }

  #drain(nowMs: number): void {
    if (this.inFlight > this.#limit && nowMs - this.#window.sinceMs < DRAIN_MS_MAX) return
    this.#isDraining = false
    this.#settledAtMs = nowMs + SETTLE_BASES * this.#law.baseMs
    this.#window.reset(this.#settledAtMs, this.inFlight)
  }

  #apply(action: HoldAction): void {
    const previous = this.#limit
    this.#limit = Math.round(this.#law.limit)
    if (this.#limit === previous) return
    this.limits.set(this.#limit)
    if (isHeardByTools()) tellTools(this, 'limitChanged', { limit: this.#limit, previous, action })
  }

  #refusal(): ReturnType<typeof rejected> {
    const { rule } = this
    this.#window.refused += 1
    return rejected({
      policy: this.policy,
      rule: rule.current.name ?? this.policy,
      ruleVersion: rule.version,
      reason: 'concurrency-limit',
      limit: this.#limit,
      inFlight: this.inFlight,
    })
  }
}

// Without a call for so long, nothing is overloaded. Calls that come one by one, each second, still make windows.
const REST_MS = 1_000
// What was queued when a probe began is gone by then, or hangs.
const DRAIN_MS_MAX = 2_000
// Then it takes some times the duration of a call until those that end are a fair choice.
const SETTLE_BASES = 3
// So do the first calls of all: until then, those that have ended are the fast ones.
const FIRST_WINDOW_TIMES = 4

/**
 * A limit of calls in flight that finds its own value: from how long calls take and how many are done, it learns how many at once
 * what is called serves well, and refuses the rest at once (`concurrency-limit`). It follows when capacity changes; a service that
 * is not overloaded has nothing refused.
 *
 * - Durations are those of calls that succeeded. Errors of their own kind say nothing; calls that their caller gave up neither.
 * - When more than one in twenty of a window times out or is refused for overload further in, the limit falls by a fifth, and what it
 *   knows of durations stays as it was: calls that all time out after the same time never raise it (Netflix/concurrency-limits #137).
 * - As long as there are too few calls to tell, it stays where it is.
 * - When it has been saturated for long, it goes down for less than a second, to see how long calls take that do not queue; during
 *   an incident of hours it would learn the slow times else (failsafe-go #127). `maxHealthyMs` says from where on that is an incident.
 * - In `shadow`, what it would refuse runs all the same, so it sees a service more loaded than it would be, and counts more.
 *
 * What it cannot know: a server of very few (up to four) that is loaded to a little more than it can do, from the start, teaches it
 * times with a queue in them; it finds out within the first seconds of refusing. Say `maxHealthyMs` there.
 *
 * It stands innermost, around what has the queue: `pipeline(retry(), adaptiveLimit(), timeout({ timeoutMs: 800 }))`.
 *
 * @example
 * const limit = adaptiveLimit({ limitMax: 500 })
 * const price = await limit.execute(({ signal }) => prices.get(id, { signal }))
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @see HoldLaw for the law, and for where it differs from others.
 */
export function adaptiveLimit(options: LiveOptions<AdaptiveLimitOptions> = {}): AdaptiveLimit {
  const rule = openRule<AdaptiveLimitOptions, AdaptiveRule>('adaptiveLimit', options, checkAdaptive)
  const gate = new AdaptiveGate(rule)
  return policyOf(gate, {
    get limit(): number {
      return gate.limit
    },
    get inFlight(): number {
      return gate.inFlight
    },
    limits: gate.limits as Live<number>,
  })
}
