import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { SimulatedClock } from '@holdfast/core/testing'
import * as cockatiel4 from 'cockatiel-4'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Call, CallContext } from '../call.ts'
import { rejected } from '../errors.ts'
import { pipeline, policyOf } from '../pipeline.ts'
import type { ResilienceEvent } from '../policy.ts'
import { retry } from '../retry/retry.ts'
import { retryBudget } from '../retry/retry-budget.ts'
import type { Ended, Gate } from '../stage.ts'
import type { Hedged } from './hedge.ts'
import { hedge } from './hedge.ts'

const told: ResilienceEvent[] = []
const hear = (event: unknown): void => void told.push(event as ResilienceEvent)
afterEach(() => {
  unsubscribe('holdfast:resilience.event', hear)
  told.length = 0
})

const idempotent = { idempotent: true }
const settled = async (promise: Promise<unknown>): Promise<unknown> => await promise.catch((error: unknown) => error)
/** Work of which each attempt takes its time, and stops when it is told. */
const attempts =
  (clock: SimulatedClock, ...plan: (readonly [ms: number, outcome: unknown])[]) =>
  ({ attempt, signal }: CallContext): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const [ms, outcome] = plan[attempt - 1] ?? [0, undefined]
      const timer = clock.setTimer(() => (outcome instanceof Error ? reject(outcome) : resolve(outcome)), ms)
      signal.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason as Error)
      })
    })
/** A gate that notes how each attempt ended. */
const witness = (clock: SimulatedClock, ended: string[]): ReturnType<typeof policyOf> => {
  const gate: Gate = {
    kind: 'gate',
    policy: 'witness',
    clock,
    rule: undefined,
    describe: () => ({}),
    enter: (call: Call) => call.attempt,
    leave: (_call: Call, ticket: number, { kind }: Ended) => void ended.push(`${ticket} ${kind}`),
    undo: () => {},
  }
  return policyOf(gate, {})
}

describe('hedge', () => {
  it('takes the result of a second attempt that is faster, and tells the first to stop, which counts as no failure', async () => {
    const clock = new SimulatedClock()
    const ended: string[] = []
    const policy = hedge({ delayMs: 50, clock })
    const [begun, won] = [vi.fn<(event: Hedged) => void>(), vi.fn<(event: Hedged) => void>()]
    policy.onHedge(begun)
    policy.onHedgeWon(won)
    const both = pipeline(policy, witness(clock, ended))
    const result = both.execute(attempts(clock, [10_000, 'slow'], [20, 'fast']), idempotent)
    await clock.advance(100)
    await expect(result).resolves.toBe('fast')
    expect(ended).toEqual(['2 returned', '1 cancelled'])
    expect([begun.mock.calls, won.mock.calls]).toEqual([
      [[{ attempt: 2, delayMs: 50 }]],
      [[{ attempt: 2, delayMs: 50 }]],
    ])
    expect(policy.describe().state).toMatchObject({ hedges: 1, won: 1 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('takes the first attempt where that is faster all the same, and stops the second', async () => {
    const clock = new SimulatedClock()
    const ended: string[] = []
    const policy = hedge({ delayMs: 50, clock })
    const result = pipeline(policy, witness(clock, ended)).execute(
      attempts(clock, [60, 'first'], [900, 'second']),
      idempotent,
    )
    await clock.advance(100)
    await expect(result).resolves.toBe('first')
    expect(ended).toEqual(['1 returned', '2 cancelled'])
    expect(policy.describe().state).toMatchObject({ hedges: 1, won: 0 })
  })

  it('leaves the signal of the attempt that won alone', async () => {
    const clock = new SimulatedClock()
    const caller = new AbortController()
    const options = { ...idempotent, signal: caller.signal }
    const signal = await hedge({ delayMs: 50, clock }).execute(context => context.signal, options)
    caller.abort()
    expect(signal.aborted).toBe(false)
  })

  it('begins nothing for a call that may not be done twice, and for one that is fast', async () => {
    const clock = new SimulatedClock()
    const work = vi.fn<(context: CallContext) => Promise<unknown>>(attempts(clock, [40, 'done'], [0, 'twice']))
    const policy = hedge({ delayMs: 50, clock })
    const slow = policy.execute(attempts(clock, [400, 'once'], [0, 'twice']))
    const fast = policy.execute(work, idempotent)
    await clock.advance(500)
    await expect(Promise.all([slow, fast])).resolves.toEqual(['once', 'done'])
    expect(work).toHaveBeenCalledOnce()
    const all = hedge({ delayMs: 50, idempotent: true, clock }).execute(attempts(clock, [400, 'once'], [0, 'twice']))
    await clock.advance(500)
    await expect(all).resolves.toBe('twice')
  })

  it('learns from fifty calls what is slow, and begins nothing before', async () => {
    const clock = new SimulatedClock()
    const policy = hedge({ clock })
    const slow = attempts(clock, [500, 'first'], [0, 'second'])
    const run = async (work: (context: CallContext) => Promise<unknown>): Promise<unknown> => {
      const result = policy.execute(work, idempotent)
      await clock.advance(600)
      return await result
    }
    for (let call = 0; call < 49; call++) await run(attempts(clock, [20, 'done']))
    await expect(run(slow)).resolves.toBe('first')
    expect(policy.describe().state).toMatchObject({ samples: 50, delayMs: 20, hedges: 0 })
    await expect(run(slow)).resolves.toBe('second')
  })

  it('does not wait for the delay when the first attempt fails before it', async () => {
    const clock = new SimulatedClock()
    const work = vi.fn<(context: CallContext) => Promise<unknown>>(
      attempts(clock, [10, new Error('down')], [0, 'second']),
    )
    const result = settled(hedge({ delayMs: 50, clock }).execute(work, idempotent))
    await clock.advance(10)
    await expect(result).resolves.toMatchObject({ message: 'down' })
    expect([work.mock.calls.length, clock.pendingTimers]).toEqual([1, 0])
  })

  it('waits for the other attempt when one fails, and ends as the first did when all fail', async () => {
    const clock = new SimulatedClock()
    const policy = hedge({ delayMs: 50, clock })
    const run = async (work: (context: CallContext) => Promise<unknown>): Promise<unknown> => {
      const result = settled(policy.execute(work, idempotent))
      await clock.advance(500)
      return await result
    }
    const [first, second] = [new Error('first'), new Error('second')]
    await expect(run(attempts(clock, [80, first], [200, 'late']))).resolves.toBe('late')
    await expect(run(attempts(clock, [200, 'late'], [20, second]))).resolves.toBe('late')
    await expect(run(attempts(clock, [100, first], [200, second]))).resolves.toBe(first)
    await expect(run(attempts(clock, [300, first], [20, second]))).resolves.toBe(first)
  })

  it('takes an error that its filter does not know for an answer', async () => {
    const clock = new SimulatedClock()
    const missing = Object.assign(new Error('missing'), { status: 404 })
    const handle = cockatiel4.handleWhen(error => (error as { status?: number }).status !== 404)
    const result = settled(
      hedge({ delayMs: 50, handle, clock }).execute(attempts(clock, [400, 'late'], [10, missing]), idempotent),
    )
    await clock.advance(100)
    expect(await result).toBe(missing)
  })

  it('goes on with the first attempt when the second is refused by a policy inside, or the budget is used up', async () => {
    const clock = new SimulatedClock()
    subscribe('holdfast:resilience.event', hear)
    const refusal = rejected({ policy: 'bulkhead', rule: 'b', ruleVersion: 1, reason: 'queue-full' })
    const refused = hedge({ delayMs: 50, handle: () => false, clock }).execute(
      attempts(clock, [400, 'first'], [0, refusal]),
      idempotent,
    )
    const unpaid = hedge({ delayMs: 50, budget: retryBudget({ minPerSecond: 0, clock }), clock }).execute(
      attempts(clock, [400, 'first'], [0, 'second']),
      idempotent,
    )
    await clock.advance(500)
    await expect(Promise.all([refused, unpaid])).resolves.toEqual(['first', 'first'])
    expect(told.map(({ event }) => event)).toEqual(['hedged', 'hedgeBudgetExhausted'])
  })

  it('adds no more than a twentieth to the calls, once its minimum is used up', async () => {
    const clock = new SimulatedClock()
    const policy = hedge({ delayMs: 1, budget: retryBudget({ ratio: 0.05, minPerSecond: 0, clock }), clock })
    const calls = Array.from({ length: 200 }, () => policy.execute(attempts(clock, [50, 1], [50, 2]), idempotent))
    await clock.advance(100)
    await Promise.all(calls)
    expect(policy.describe().state).toMatchObject({ hedges: 10, unpaid: 190 })
  })

  it('goes on with the first attempt when a budget of its user’s own throws', async () => {
    const clock = new SimulatedClock()
    const budget = {
      ...retryBudget({ clock }),
      deposit: () => {},
      tryWithdraw: (): never => {
        throw new Error('It is closed.')
      },
    }
    const result = hedge({ delayMs: 50, budget, clock }).execute(attempts(clock, [90, 'first']), idempotent)
    // The clock rejects with what a timer throws.
    await clock.advance(100)
    await expect(result).resolves.toBe('first')
  })

  it('can share its budget with the retry inside, which a call pays into once', async () => {
    const clock = new SimulatedClock()
    const budget = retryBudget({ minPerSecond: 0, clock })
    const policy = pipeline(hedge({ delayMs: 50, budget, clock }), retry({ budget, clock }))
    for (let call = 0; call < 100; call++) await policy.execute(() => 'done', idempotent)
    expect(budget.balance).toBe(10)
  })

  it('begins as many as it may, each after the delay', async () => {
    const clock = new SimulatedClock()
    const seen: number[] = []
    const startedAtMs = clock.monotonicMs()
    const work = attempts(clock, [900, 1], [900, 2], [900, 3], [900, 4])
    const result = hedge({ delayMs: 50, maxHedges: 2, clock }).execute(context => {
      seen.push(clock.monotonicMs() - startedAtMs)
      return work(context)
    }, idempotent)
    await clock.advance(1_000)
    await expect(result).resolves.toBe(1)
    expect(seen).toEqual([0, 50, 100])
  })

  it('begins nothing for a caller who gave up, and passes his reason on', async () => {
    const clock = new SimulatedClock()
    const caller = new AbortController()
    const work = vi.fn<(context: CallContext) => Promise<unknown>>(attempts(clock, [900, 1], [900, 2]))
    const options = { ...idempotent, signal: caller.signal }
    const result = settled(hedge({ delayMs: 50, clock }).execute(work, options))
    await clock.advance(20)
    caller.abort('enough')
    await expect(result).resolves.toBe('enough')
    await clock.advance(100)
    expect([work.mock.calls.length, clock.pendingTimers]).toEqual([1, 0])
  })

  it('only tells in shadow', async () => {
    const clock = new SimulatedClock()
    subscribe('holdfast:resilience.event', hear)
    const policy = hedge({ delayMs: 50, mode: 'shadow', clock })
    const result = policy.execute(attempts(clock, [400, 'first'], [0, 'second']), idempotent)
    await clock.advance(500)
    await expect(result).resolves.toBe('first')
    expect(told.map(({ event }) => event)).toEqual(['wouldHedge'])
    expect(policy.describe().state).toMatchObject({ wouldHedge: 1, hedges: 0 })
  })

  it.each([
    [{ delayMs: 5, quantile: 0.9 }, 'Expected `delayMs` or `quantile` of hedge, got both'],
    [{ delayMs: 0 }, 'got 0'],
    [{ quantile: 0.2 }, 'Expected `quantile` to be a number from 0.5 to 0.999, got 0.2'],
    [{ maxHedges: 6 }, 'Expected `maxHedges` to be an integer from 1 to 5, got 6'],
    [{ idempotent: 1 }, 'Expected `idempotent` to be true or false'],
    [{ delay: 5 }, 'Unknown option `delay` of hedge'],
  ])('refuses %j', (options, message) => {
    expect(() => hedge(options as object)).toThrow(message)
  })
})
