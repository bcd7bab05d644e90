import { seededRandom } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { codeOf } from '../errors.ts'
import type { CircuitBreakerPolicy } from './circuit-breaker.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { BreakerWindow } from './options.ts'

const RULE = { minCalls: 4, failureRatio: 0.5, slowMs: 300, slowRatio: 0.75, openMs: 1_000, openMsMax: 3_000 }
const TRIALS = { halfOpenCalls: 3, halfOpenMsMax: 2_500 }
const WINDOWS: readonly Required<BreakerWindow>[] = [
  { kind: 'count', size: 8 },
  { kind: 'time', durationMs: 5_000, buckets: 5 },
]

type Outcome = 'fine' | 'failed' | 'ignored' | 'cancelled'

interface Entry {
  readonly state: ModelState
  readonly beganAtMs: number
  readonly end: (outcome: Outcome) => Promise<void>
}

interface Seen {
  readonly atMs: number
  readonly isFailure: boolean
  readonly isSlow: boolean
}

type ModelState =
  | { readonly kind: 'closed'; readonly seen: Seen[] }
  | { readonly kind: 'open'; readonly untilMs: number; readonly openings: number }
  | {
      readonly kind: 'half-open'
      readonly untilMs: number
      readonly openings: number
      readonly seen: Seen[]
      out: number
    }

/** A breaker that keeps every call, and counts them anew each time. A call belongs to the state object in which it began. */
class Model {
  state: ModelState = { kind: 'closed', seen: [] }
  readonly #window: Required<BreakerWindow>

  constructor(window: Required<BreakerWindow>) {
    this.#window = window
  }

  settle(nowMs: number): void {
    const { state } = this
    if (state.kind === 'half-open' && nowMs >= state.untilMs) this.#open(state.untilMs, state.openings + 1)
  }

  enter(nowMs: number): boolean {
    this.settle(nowMs)
    if (this.state.kind === 'open' && nowMs >= this.state.untilMs) {
      const { openings } = this.state
      this.state = { kind: 'half-open', untilMs: nowMs + TRIALS.halfOpenMsMax, openings, seen: [], out: 0 }
    }
    if (this.state.kind !== 'half-open') return this.state.kind === 'closed'
    if (this.state.out + this.state.seen.length >= TRIALS.halfOpenCalls) return false
    this.state.out += 1
    return true
  }

  leave(nowMs: number, { state, beganAtMs }: Entry, outcome: Outcome): void {
    this.settle(nowMs)
    if (state !== this.state || state.kind === 'open') return
    if (state.kind === 'half-open') state.out -= 1
    if (outcome === 'ignored' || outcome === 'cancelled') return
    const isSlow = nowMs - beganAtMs > RULE.slowMs
    state.seen.push({ atMs: nowMs, isFailure: outcome === 'failed', isSlow })
    if (state.kind === 'closed') this.#judgeWindow(nowMs, this.inWindow(nowMs))
    else this.#judgeTrials(nowMs, state)
  }

  inWindow(nowMs: number): readonly Seen[] {
    const window = this.#window
    if (this.state.kind !== 'closed') return []
    const { seen } = this.state
    if (window.kind === 'count') return seen.slice(-window.size)
    const bucketMs = window.durationMs / window.buckets
    const oldest = Math.floor(nowMs / bucketMs) - window.buckets + 1
    return seen.filter(({ atMs }) => Math.floor(atMs / bucketMs) >= oldest)
  }

  #judgeWindow(nowMs: number, seen: readonly Seen[]): void {
    if (seen.length < RULE.minCalls) return
    const isOver = ratio(seen, 'isFailure') >= RULE.failureRatio || ratio(seen, 'isSlow') >= RULE.slowRatio
    if (isOver) this.#open(nowMs, 1)
  }

  // Every way in which the calls that are out may end is tried: where all of them agree it is decided.
  #judgeTrials(nowMs: number, state: ModelState & { readonly kind: 'half-open' }): void {
    const all = TRIALS.halfOpenCalls
    const out = all - state.seen.length
    const verdicts = new Set<boolean>()
    for (let failures = 0; failures <= out; failures++) {
      for (let slow = 0; slow <= out; slow++) {
        const failed = state.seen.filter(({ isFailure }) => isFailure).length + failures
        const slowed = state.seen.filter(({ isSlow }) => isSlow).length + slow
        verdicts.add(failed / all >= RULE.failureRatio || slowed / all >= RULE.slowRatio)
      }
    }
    if (verdicts.size > 1) return
    if (verdicts.has(true)) this.#open(nowMs, state.openings + 1)
    else this.state = { kind: 'closed', seen: [] }
  }

  #open(nowMs: number, openings: number): void {
    const openMs = Math.min(RULE.openMsMax, RULE.openMs * 2 ** (openings - 1))
    this.state = { kind: 'open', untilMs: nowMs + openMs, openings }
  }
}

function ratio(seen: readonly Seen[], what: 'isFailure' | 'isSlow'): number {
  return seen.filter(one => one[what]).length / seen.length
}

/** The breaker and the model side by side, with the calls that are under way. */
class Pair {
  readonly time = new SimulatedClock()
  readonly policy: CircuitBreakerPolicy
  readonly model: Model
  readonly refusals: unknown[] = []
  readonly admissions: { readonly ours: boolean; readonly model: boolean }[] = []
  #entries: Entry[] = []

  constructor(window: Required<BreakerWindow>) {
    const random = seededRandom(1)
    const handle = (error: unknown): boolean => (error as Error).message !== 'ignored'
    const options = { ...RULE, ...TRIALS, openJitter: 0, window, clock: this.time, random, handle }
    this.policy = circuitBreaker(options)
    this.model = new Model(window)
  }

  async begin(): Promise<void> {
    const nowMs = this.time.monotonicMs()
    const isIn = this.model.enter(nowMs)
    const { state } = this.model
    const controller = new AbortController()
    let settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined
    const result = this.policy.execute(
      () => new Promise<void>((resolve, reject) => (settle = { resolve, reject })),
      controller.signal,
    )
    const end = async (outcome: Outcome): Promise<void> => {
      if (outcome === 'cancelled') controller.abort()
      if (outcome === 'fine') settle?.resolve()
      else settle?.reject(new Error(outcome))
      await result.catch(() => undefined)
    }
    if (isIn) this.#entries.push({ state, beganAtMs: nowMs, end })
    else this.refusals.push(codeOf(await result.catch((error: unknown) => error)))
    this.admissions.push({ ours: settle !== undefined, model: isIn })
  }

  async end(which: number, outcome: Outcome): Promise<void> {
    const entry = this.#entries[which % Math.max(1, this.#entries.length)]
    if (entry === undefined) return
    this.#entries = this.#entries.filter(other => other !== entry)
    await entry.end(outcome)
    this.model.leave(this.time.monotonicMs(), entry, outcome)
  }

  async advance(ms: number): Promise<void> {
    await this.time.advance(ms)
    this.model.settle(this.time.monotonicMs())
  }

  /** What is seen from outside. */
  ours(): Facts {
    const { state } = this.policy
    const { trialsInFlight = 0, calls, failures, slow } = this.policy.describe().state
    const untilMs = state.kind === 'open' ? state.halfOpensAtMs : undefined
    const tally = state.kind === 'open' ? undefined : { calls, failures, slow }
    return { kind: state.kind, untilMs, trialsInFlight, tally }
  }

  /** The same by the model. */
  models(): Facts {
    const { state } = this.model
    const { kind } = state
    if (state.kind === 'open') return { kind, untilMs: state.untilMs, trialsInFlight: 0, tally: undefined }
    const seen = state.kind === 'half-open' ? state.seen : this.model.inWindow(this.time.monotonicMs())
    const tally = {
      calls: seen.length,
      failures: seen.filter(({ isFailure }) => isFailure).length,
      slow: seen.filter(({ isSlow }) => isSlow).length,
    }
    const trialsInFlight = state.kind === 'half-open' ? this.#entries.filter(entry => entry.state === state).length : 0
    return { kind, untilMs: undefined, trialsInFlight, tally }
  }
}

interface Facts {
  readonly kind: string
  readonly untilMs: number | undefined
  readonly trialsInFlight: unknown
  readonly tally: { readonly calls: unknown; readonly failures: unknown; readonly slow: unknown } | undefined
}

type Step =
  | { readonly kind: 'begin' }
  | { readonly kind: 'end'; readonly which: number; readonly outcome: Outcome }
  | { readonly kind: 'advance'; readonly ms: number }

const outcome = fc.constantFrom<Outcome>('fine', 'failed', 'failed', 'ignored', 'cancelled')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ kind: 'begin' }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(20), outcome }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(4_000) }) },
)

test('However calls interleave and time passes: as a model that counts every call anew has it, in each state.', async () => {
  const kinds = new Set<string>()
  let refusals = 0
  const steps = fc.array(step, { maxLength: 200, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(...WINDOWS), async (list, window) => {
      const pair = new Pair(window)
      for (const one of list) {
        if (one.kind === 'begin') await pair.begin()
        else if (one.kind === 'end') await pair.end(one.which, one.outcome)
        else await pair.advance(one.ms)
        const facts = pair.ours()
        expect(facts).toEqual(pair.models())
        kinds.add(facts.kind)
        if (facts.kind !== 'half-open') continue
        const trials = Number(facts.trialsInFlight) + Number(facts.tally?.calls)
        expect(trials).toBeLessThanOrEqual(TRIALS.halfOpenCalls)
      }
      expect(pair.admissions.map(({ ours }) => ours)).toEqual(pair.admissions.map(({ model }) => model))
      expect(new Set([...pair.refusals, 'HF_REJECTED']).size).toBe(1)
      refusals += pair.refusals.length
    }),
    { seed: 4, numRuns: 150 },
  )
  // It has been everywhere.
  expect(kinds).toEqual(new Set(['closed', 'half-open', 'open']))
  expect(refusals).toBeGreaterThan(100)
})
