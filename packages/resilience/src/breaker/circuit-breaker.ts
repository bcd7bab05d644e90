import type { Clock } from '@holdfast/core'
import { Emitter } from '@holdfast/core'
import type { Event, IDisposable } from 'cockatiel'
import type { Call } from '../call.ts'
import type { RejectedError, RejectionReason } from '../errors.ts'
import { rejected } from '../errors.ts'
import { policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { isHeardByTools, tellTools } from '../policy.ts'
import type { Rule } from '../rule.ts'
import { openRule } from '../rule.ts'
import type { Admission, Ended, Gate } from '../stage.ts'
import type { CircuitMove } from './circuit.ts'
import { Circuit } from './circuit.ts'
import type { BreakerRule, CircuitBreakerOptions, GivenBreakerOptions } from './options.ts'
import { checkedBreaker } from './options.ts'
import { SharedCircuit } from './shared-circuit.ts'
import type { CircuitBreak, CircuitState } from './state.ts'

/** What a breaker has besides what all policies have. */
interface BreakerOwn {
  /** What it does with calls now. One that is open stays so until a call comes after its time. */
  readonly state: CircuitState
  /** Refuses all calls, until each that was handed out is disposed of; then it is closed, whatever it was before. */
  isolate(): IDisposable & Disposable
  /** Every change of state. */
  readonly onStateChange: Event<CircuitState>
  /** It has opened, or was isolated. */
  readonly onBreak: Event<CircuitBreak>
  /** It has closed. */
  readonly onReset: Event<void>
  /** The first trial call is let through. */
  readonly onHalfOpen: Event<void>
}

/** A breaker, as its users have it. */
export type CircuitBreakerPolicy = Policy & BreakerOwn

/**
 * Keeps calls off what fails or is slow, and tries it again by and by with a few.
 *
 * - It counts what is known of the last calls, or of the last while, and opens when too many failed or were slow.
 * - Open, it refuses for a time that is drawn by chance, twice as long each time in a row.
 * - Then it is half-open: `halfOpenCalls` trial calls pass, all others are refused at once. As soon as they say enough it is closed, or
 *   open again.
 *
 * A call counts in the state in which it began, and in no other. One that its caller gave up, that a policy further in refused, or
 * whose error `handle` does not take, counts as nothing, and gives its place among the trial calls back.
 *
 * In `shadow` it goes through all of its states and refuses nothing: what it would have refused is not counted, as it would not have
 * been called.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {UnsupportedError} `HF_UNSUPPORTED` when it is shared over a backend that keeps no records.
 * @see resilience4j `CircuitBreaker`
 */
export function circuitBreaker(options: GivenBreakerOptions = {}): CircuitBreakerPolicy {
  const gate = new BreakerGate(openRule<CircuitBreakerOptions, BreakerRule>('circuitBreaker', options, checkedBreaker))
  return policyOf<BreakerOwn>(gate, {
    get state(): CircuitState {
      return gate.state
    },
    isolate: () => gate.isolate(),
    onStateChange: gate.on('changed'),
    onBreak: gate.on('broke'),
    onReset: gate.on('reset'),
    onHalfOpen: gate.on('halfOpened'),
  })
}

interface BreakerEvents {
  changed: CircuitState
  broke: CircuitBreak
  reset: void
  halfOpened: void
}

// Where another instance makes trial calls: about as long as a few calls take.
const ELSEWHERE_MS = 250

class BreakerGate implements Gate {
  readonly kind = 'gate'
  readonly policy = 'circuitBreaker'
  readonly clock: Clock
  readonly rule: Rule<BreakerRule>
  readonly #events = new Emitter<BreakerEvents>('resilience.circuitBreaker')
  readonly #circuit: Circuit
  readonly #shared: SharedCircuit | undefined

  constructor(rule: Rule<BreakerRule>) {
    const { clock, random, shared } = rule.current
    this.rule = rule
    this.clock = clock
    this.#circuit = new Circuit({
      rule,
      random,
      mayTry: nowMs => this.#shared === undefined || this.#shared.mayTry(nowMs),
      moved: move => this.#moved(move),
    })
    this.#shared = shared === undefined ? undefined : new SharedCircuit(shared, this.#circuit, clock)
    rule.onChange((_next, previous) => this.#circuit.followRule(clock.monotonicMs(), previous))
  }

  get state(): CircuitState {
    this.#circuit.settle(this.clock.monotonicMs())
    return this.#circuit.state
  }

  enter(call: Call): Admission {
    const circuit = this.#circuit
    return circuit.admits(call.nowMs) ? circuit.generation : this.#refusal(call.nowMs)
  }

  leave(_call: Call, ticket: number, ended: Ended): void {
    this.#circuit.left(ticket, ended)
  }

  undo(_call: Call, ticket: number): void {
    this.#circuit.gaveBack(ticket)
  }

  isolate(): IDisposable & Disposable {
    this.#circuit.isolate()
    let isOver = false
    const dispose = (): void => {
      if (isOver) return
      isOver = true
      this.#circuit.endIsolation()
    }
    return { dispose, [Symbol.dispose]: dispose }
  }

  on<Name extends keyof BreakerEvents>(name: Name): Event<BreakerEvents[Name]> {
    return listener => {
      const subscription = this.#events.on(name, listener)
      return { dispose: () => subscription.close() }
    }
  }

  describe(): Readonly<Record<string, unknown>> {
    const nowMs = this.clock.monotonicMs()
    const { kind, ...rest } = this.state
    const { calls, failures, slow } = this.#circuit.tally(nowMs)
    const facts = {
      ...('halfOpensAtMs' in rest && { cause: rest.cause, halfOpensInMs: Math.max(0, rest.halfOpensAtMs - nowMs) }),
      ...('openings' in rest && { openings: rest.openings }),
      ...('endsAtMs' in rest && { trialsInFlight: this.#circuit.trialsInFlight }),
    }
    return { circuit: kind, ...facts, calls, failures, slow, ...(this.#shared && { shared: this.#shared.state }) }
  }

  close(): void {
    this.#shared?.close()
  }

  #refusal(nowMs: number): RejectedError {
    const { state } = this.#circuit
    switch (state.kind) {
      case 'open':
        return this.#refused('circuit-open', untilOr(state.halfOpensAtMs, nowMs), undefined)
      case 'half-open': {
        const { openMs, halfOpenCalls } = this.rule.current
        // Nobody knows when the trial calls return. It is over at its end, and as a rule long before.
        return this.#refused('circuit-half-open', Math.min(state.endsAtMs - nowMs, openMs), halfOpenCalls)
      }
      default:
        return this.#refused('circuit-isolated', undefined, undefined)
    }
  }

  // One literal for all: when a circuit is open there are many.
  #refused(reason: RejectionReason, retryAfterMs: number | undefined, limit: number | undefined): RejectedError {
    const { policy, rule } = this
    return rejected({
      policy,
      rule: rule.current.name ?? policy,
      ruleVersion: rule.version,
      reason,
      retryAfterMs,
      limit,
    })
  }

  #moved(move: CircuitMove): void {
    const { next, broke } = move
    this.#shared?.moved(move)
    this.#tell(move)
    // First, so that what a listener of the others changes is heard after it.
    this.#events.emit('changed', next)
    if (broke !== undefined) this.#events.emit('broke', broke)
    else if (next.kind === 'half-open') this.#events.emit('halfOpened', undefined)
    else this.#events.emit('reset', undefined)
  }

  #tell({ next, broke, tally }: CircuitMove): void {
    if (!isHeardByTools()) return
    if (next.kind !== 'open') return tellTools(this, EVENTS[next.kind], { ...tally })
    tellTools(this, 'opened', { cause: next.cause, openings: next.openings, openMs: broke?.openMs, ...tally })
  }
}

const EVENTS = Object.freeze({ 'half-open': 'halfOpened', closed: 'closed', isolated: 'isolated' })

function untilOr(atMs: number, nowMs: number): number {
  return atMs > nowMs ? atMs - nowMs : ELSEWHERE_MS
}
