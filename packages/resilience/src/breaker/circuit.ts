import type { Random } from '@holdfast/core'
import type { Filter } from '../filter.ts'
import type { Ended } from '../stage.ts'
import type { BreakerRule, WindowRule } from './options.ts'
import type { CircuitBreak, CircuitState, OpenCause } from './state.ts'
import type { CallWindow } from './window.ts'
import { windowOf } from './window.ts'

const CLOSED: CircuitState = Object.freeze({ kind: 'closed' })
const ISOLATED: CircuitState = Object.freeze({ kind: 'isolated' })

/** What a circuit needs from around it. */
export interface CircuitParts {
  /** Read at every call. */
  readonly rule: { readonly current: BreakerRule }
  readonly random: Random
  /** Whether trial calls may begin. Asked by each call that comes when the open time is over. */
  readonly mayTry: (nowMs: number) => boolean
  /** Told after each change, whole. */
  readonly moved: (move: CircuitMove) => void
}

/** One change of a circuit's state. */
export interface CircuitMove {
  readonly previous: CircuitState
  readonly next: CircuitState
  /** Where it opened, or was isolated. */
  readonly broke: CircuitBreak | undefined
  /** What was known in `previous`. */
  readonly tally: Tally
}

/** How calls ended. */
export interface Tally {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/**
 * The states of one breaker, and what moves it from one to the next. Knows neither calls nor a clock: it is told the time. It has no
 * timer either: what is due happens when somebody comes, as if it had happened in time.
 *
 * Each state has a number, its generation. A call carries that of the state in which it began, and is counted in no other.
 *
 * @see resilience4j `CircuitBreakerStateMachine`. We differ in that trial calls decide as soon as those that are out cannot change it.
 */
export class Circuit {
  generation = 0
  state: CircuitState = CLOSED
  /** How many times it opened by what it saw itself. */
  ownOpenings = 0
  readonly #parts: CircuitParts
  #window: CallWindow
  #trial: Trial = new Trial()
  #isolations = 0

  constructor(parts: CircuitParts) {
    this.#parts = parts
    this.#window = windowOf(parts.rule.current.window)
  }

  /** What its window holds; while it is half-open, what is known of the trial calls. */
  tally(nowMs: number): Tally {
    this.#window.advance(nowMs)
    return this.#tally()
  }

  /** Trial calls under way. */
  get trialsInFlight(): number {
    return this.#trial.inFlight
  }

  /** Whether a call may pass. It belongs to the `generation` of this moment. */
  admits(nowMs: number): boolean {
    return this.state.kind === 'closed' || this.#admitsTrial(nowMs)
  }

  /** A call of a generation has ended. */
  left(generation: number, ended: Ended): void {
    if (this.state.kind === 'half-open') this.settle(ended.atMs)
    if (generation !== this.generation) return
    const { filter, slowMs } = this.#parts.rule.current
    const verdict = verdictOf(ended, filter)
    if (verdict === 'ignored') return this.gaveBack(generation)
    const isFailure = verdict === 'failed'
    const isSlow = ended.durationMs > slowMs
    if (this.state.kind === 'half-open') {
      this.#trial.record(isFailure, isSlow)
      this.#decideTrial(ended.atMs, ended)
    } else {
      this.#window.record(ended.atMs, isFailure, isSlow)
      this.#decideWindow(ended)
    }
  }

  /** A call that was let in says nothing: as if it had never come. */
  gaveBack(generation: number): void {
    if (generation === this.generation && this.state.kind === 'half-open') this.#trial.inFlight -= 1
  }

  /** Lets happen what is due. */
  settle(nowMs: number): void {
    const { state } = this
    if (state.kind !== 'half-open' || nowMs < state.endsAtMs) return
    this.#open(state.endsAtMs, 'trial-timeout')
  }

  /** The rule has changed, `previous` was in force: what is under way and what was counted stays. */
  followRule(nowMs: number, previous: BreakerRule): void {
    const { window } = this.#parts.rule.current
    if (!isSameWindow(window, previous.window)) this.#window = windowOf(window, this.#window)
    // With fewer trial calls to wait for, what has come in may be enough.
    if (this.state.kind === 'half-open') this.#decideTrial(nowMs, undefined)
  }

  isolate(): void {
    this.#isolations += 1
    if (this.#isolations > 1) return
    this.#move(ISOLATED, { cause: 'isolated', openMs: undefined, isolated: true })
  }

  endIsolation(): void {
    this.#isolations -= 1
    if (this.#isolations === 0) this.#close()
  }

  // What follows is by other instances.

  openByPeers(nowMs: number): void {
    if (this.state.kind === 'closed') this.#open(nowMs, 'peers')
  }

  /** The others find that it need not be open. */
  closeByPeers(): void {
    if (this.state.kind === 'open' && this.state.cause === 'peers') this.#close()
  }

  /** The trial calls of another failed: it is open for as long again as if they had been its own. */
  postponeTrial(nowMs: number, openings: number): void {
    const { state } = this
    if (state.kind !== 'open') return
    const most = Math.max(state.openings, openings)
    const halfOpensAtMs = Math.max(state.halfOpensAtMs, nowMs + this.#drawOpenMs(most))
    this.state = { ...state, openings: most, halfOpensAtMs }
  }

  /** The trial calls of another went well: its own are due. */
  hastenTrial(nowMs: number): void {
    const { state } = this
    if (state.kind === 'open' && state.halfOpensAtMs > nowMs) this.state = { ...state, halfOpensAtMs: nowMs }
  }

  #admitsTrial(nowMs: number): boolean {
    this.settle(nowMs)
    if (this.state.kind === 'open') {
      if (nowMs < this.state.halfOpensAtMs || !this.#parts.mayTry(nowMs)) return false
      this.#halfOpen(nowMs)
    }
    const trial = this.#trial
    const { kind } = this.state as CircuitState
    // Whoever heard of the half-open state may have isolated the circuit by now, and let go of it.
    if (kind !== 'half-open') return kind === 'closed'
    if (trial.inFlight + trial.calls >= this.#parts.rule.current.halfOpenCalls) return false
    trial.inFlight += 1
    return true
  }

  #decideWindow(ended: Ended): void {
    const { calls, failures, slow } = this.#window
    const { minCalls, failureRatio, slowMs, slowRatio } = this.#parts.rule.current
    if (calls < minCalls) return
    if (failures / calls >= failureRatio) this.#open(ended.atMs, 'failures', ended)
    else if (slowMs !== Infinity && slow / calls >= slowRatio) this.#open(ended.atMs, 'slow-calls', ended)
  }

  #decideTrial(nowMs: number, ended: Ended | undefined): void {
    const { calls, failures, slow } = this.#trial
    const { halfOpenCalls, failureRatio, slowMs, slowRatio } = this.#parts.rule.current
    const all = Math.max(halfOpenCalls, calls)
    const out = all - calls
    const countsSlow = slowMs !== Infinity
    if (failures / all >= failureRatio || (countsSlow && slow / all >= slowRatio)) this.#open(nowMs, 'trial', ended)
    else if ((failures + out) / all < failureRatio && (!countsSlow || (slow + out) / all < slowRatio)) this.#close()
  }

  #open(nowMs: number, cause: OpenCause, ended?: Ended): void {
    const openings = this.state.kind === 'half-open' ? this.state.openings + 1 : 1
    const openMs = this.#drawOpenMs(openings)
    if (cause !== 'peers') this.ownOpenings += 1
    this.#move(
      { kind: 'open', cause, openings, openedAtMs: nowMs, halfOpensAtMs: nowMs + openMs },
      { cause, openMs, ...reasonOf(ended) },
    )
  }

  #halfOpen(nowMs: number): void {
    const openings = this.state.kind === 'open' ? this.state.openings : 0
    this.#trial = new Trial()
    this.#move({ kind: 'half-open', openings, endsAtMs: nowMs + this.#parts.rule.current.halfOpenMsMax }, undefined)
  }

  #close(): void {
    // Before anybody hears of it, who may call at once.
    this.#window = windowOf(this.#parts.rule.current.window)
    this.#move(CLOSED, undefined)
  }

  // base * 2^k with full jitter, drawn from (0, 1] for 1 so that it is never no time at all.
  #drawOpenMs(openings: number): number {
    const { openMs, openMsMax, openJitter } = this.#parts.rule.current
    return Math.min(openMsMax, openMs * 2 ** (openings - 1)) * (1 - openJitter * this.#parts.random.next())
  }

  #move(next: CircuitState, broke: CircuitBreak | undefined): void {
    const previous = this.state
    const tally = this.#tally()
    this.state = next
    this.generation += 1
    this.#parts.moved({ previous, next, broke, tally })
  }

  #tally(): Tally {
    const { calls, failures, slow } = this.state.kind === 'half-open' ? this.#trial : this.#window
    return { calls, failures, slow }
  }
}

/** The trial calls of one half-open state. */
class Trial {
  inFlight = 0
  calls = 0
  failures = 0
  slow = 0

  record(isFailure: boolean, isSlow: boolean): void {
    this.inFlight -= 1
    this.calls += 1
    if (isFailure) this.failures += 1
    if (isSlow) this.slow += 1
  }
}

function verdictOf(ended: Ended, filter: Filter): 'fine' | 'failed' | 'ignored' {
  switch (ended.kind) {
    case 'returned':
      return filter.isFailedResult(ended.outcome) ? 'failed' : 'fine'
    case 'threw':
      return filter.isFailure(ended.outcome) ? 'failed' : 'ignored'
    case 'cancelled':
    case 'rejected':
      return 'ignored'
  }
}

function isSameWindow(one: WindowRule, other: WindowRule): boolean {
  if (one.kind === 'count') return other.kind === 'count' && one.size === other.size
  return other.kind === 'time' && one.durationMs === other.durationMs && one.buckets === other.buckets
}

function reasonOf(ended: Ended | undefined): Pick<CircuitBreak, 'error' | 'value'> {
  if (ended === undefined) return {}
  return ended.kind === 'returned' ? { value: ended.outcome } : { error: ended.outcome }
}
