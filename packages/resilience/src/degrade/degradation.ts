import type { Clock, Live, LiveListener, SubscribeOptions, Subscription, Timer } from '@holdfast/core'
import { InvalidArgumentError, LiveValue, reportListenerError, show, systemClock } from '@holdfast/core'
import { checkInteger, checkMs, checkNumber, checkStageOptions } from '../checks.ts'
import type { LiveOptions, Rule } from '../rule.ts'
import { openRule } from '../rule.ts'

/** How `degradation` is made. */
export interface DegradationOptions {
  /** How bad it is just now, 0 to 1: `() => shedder.pressure`, the ratio of refused calls, a queue's fill. Asked each `intervalMs`. */
  readonly pressure: () => number
  /** The highest level, 1 to 10. Level 0 is everything as usual. @default 3 */
  readonly levels?: number
  /** Above it for `stepDownMs` the level goes up by one: less is done. @default 0.05 */
  readonly worseAbove?: number
  /** At it or below for `stepUpMs` the level goes down by one: more is done again. Up to `worseAbove`. @default 0.01 */
  readonly betterBelow?: number
  /** How long it must be bad before each step, in milliseconds. @default 1000 */
  readonly stepDownMs?: number
  /** How long it must be well before each step back, in milliseconds. Doubled, up to eight times, each time a step back was too early. @default 10000 */
  readonly stepUpMs?: number
  /** In milliseconds, from 10. @default 250 */
  readonly intervalMs?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** The level of degradation of a process: a `Live` that `degrade` goes by. */
export interface Degradation extends Live<number>, Disposable {
  close(): void
}

const KNOWN: ReadonlySet<string> = new Set([
  'pressure',
  'levels',
  'worseAbove',
  'betterBelow',
  'stepDownMs',
  'stepUpMs',
  'intervalMs',
  'clock',
])

/** What options are left out mean. */
export const DEGRADATION_DEFAULTS: Readonly<{
  levels: number
  worseAbove: number
  betterBelow: number
  stepDownMs: number
  stepUpMs: number
  intervalMs: number
}> = Object.freeze({
  levels: 3,
  worseAbove: 0.05,
  betterBelow: 0.01,
  stepDownMs: 1_000,
  stepUpMs: 10_000,
  intervalMs: 250,
})

type Settings = DegradationOptions & typeof DEGRADATION_DEFAULTS

const PATIENCE_MAX = 8

/**
 * Steps down and back up by itself: while `pressure` stays high it raises the level, one step at a time, and while it stays low it
 * lowers it again. A step back that is followed by pressure at once was too early: the next one waits twice as long.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function degradation(options: LiveOptions<DegradationOptions>): Degradation {
  return new SteppingLevel(openRule<DegradationOptions, Settings>('degradation', options, checked))
}

function checked(given: DegradationOptions): Settings {
  checkStageOptions('degradation', given as object, KNOWN)
  if (typeof given.pressure !== 'function') {
    throw new InvalidArgumentError('pressure', `Expected \`pressure\` to be a function, got ${show(given.pressure)}.`)
  }
  const settings = { ...DEGRADATION_DEFAULTS, ...given }
  checkInteger('levels', settings.levels, { min: 1, max: 10 })
  checkNumber('worseAbove', settings.worseAbove, { min: 0, max: 1 })
  checkNumber('betterBelow', settings.betterBelow, { min: 0, max: settings.worseAbove })
  checkMs('stepDownMs', settings.stepDownMs)
  checkMs('stepUpMs', settings.stepUpMs)
  checkMs('intervalMs', settings.intervalMs, 10)
  return settings
}

class SteppingLevel implements Degradation {
  readonly #rule: Rule<Settings>
  readonly #clock: Clock
  readonly #level = new LiveValue(0)
  #timer: Timer
  #badSinceMs: number | undefined
  #wellSinceMs: number | undefined
  #patience = 1
  #steppedBackMs = -Infinity

  constructor(rule: Rule<Settings>) {
    this.#rule = rule
    this.#clock = rule.current.clock ?? systemClock
    this.#timer = this.#next()
  }

  get current(): number {
    return this.#level.current
  }

  subscribe(listener: LiveListener<number>, options?: SubscribeOptions): Subscription {
    return this.#level.subscribe(listener, options)
  }

  close(): void {
    this.#timer.cancel()
    this.#rule.close()
    this.#level.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #next(): Timer {
    return this.#clock.setTimer(() => {
      this.#timer = this.#next()
      this.#look(this.#clock.monotonicMs())
    }, this.#rule.current.intervalMs)
  }

  #look(nowMs: number): void {
    const { worseAbove, betterBelow, stepDownMs, stepUpMs, levels } = this.#rule.current
    const pressure = this.#pressure()
    this.#badSinceMs = pressure > worseAbove ? (this.#badSinceMs ?? nowMs) : undefined
    this.#wellSinceMs = pressure <= betterBelow ? (this.#wellSinceMs ?? nowMs) : undefined
    if (this.#badSinceMs !== undefined && nowMs - this.#badSinceMs >= stepDownMs) return this.#worse(nowMs, levels)
    const waitMs = stepUpMs * this.#patience
    if (this.#wellSinceMs !== undefined && nowMs - this.#wellSinceMs >= waitMs) this.#better(nowMs)
    else if (this.current > levels) this.#level.set(levels)
  }

  #worse(nowMs: number, levels: number): void {
    const { stepUpMs } = this.#rule.current
    const wasTooEarly = nowMs - this.#steppedBackMs < stepUpMs
    if (wasTooEarly) this.#patience = Math.min(PATIENCE_MAX, this.#patience * 2)
    this.#steppedBackMs = -Infinity
    this.#badSinceMs = nowMs
    this.#level.set(Math.min(levels, this.current + 1))
  }

  #better(nowMs: number): void {
    this.#wellSinceMs = nowMs
    if (this.current === 0) {
      this.#patience = 1
      return
    }
    this.#steppedBackMs = nowMs
    this.#level.set(this.current - 1)
  }

  // A function of the user's: one that fails says nothing, which is neither bad nor well, and the level stays.
  #pressure(): number {
    try {
      return this.#rule.current.pressure()
    } catch (error) {
      reportListenerError('resilience.degradation', error)
      return NaN
    }
  }
}
