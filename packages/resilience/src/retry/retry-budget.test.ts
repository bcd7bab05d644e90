import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RetryBudget } from './retry-budget.ts'
import { retryBudget } from './retry-budget.ts'

const withdrawAll = (budget: RetryBudget): number => {
  let count = 0
  while (budget.tryWithdraw()) count += 1
  return count
}
const deposit = (budget: RetryBudget, calls: number): void => {
  for (let call = 0; call < calls; call++) budget.deposit()
}

describe('a budget of retries', () => {
  it('has the whole of its minimum at the beginning', () => {
    expect(withdrawAll(retryBudget({ clock: new SimulatedClock() }))).toBe(10)
    expect(withdrawAll(retryBudget({ clock: new SimulatedClock(), minPerSecond: 0 }))).toBe(0)
  })

  it('gets one retry for ten calls', () => {
    const budget = retryBudget({ clock: new SimulatedClock(), minPerSecond: 0 })
    deposit(budget, 9)
    expect([budget.balance, budget.tryWithdraw()]).toEqual([0.9, false])
    budget.deposit()
    expect([budget.tryWithdraw(), budget.tryWithdraw()]).toEqual([true, false])
    deposit(budget, 1_000)
    expect(withdrawAll(budget)).toBe(100)
  })

  it('forgets calls after its time, and gives back its minimum', async () => {
    const clock = new SimulatedClock()
    const budget = retryBudget({ clock, minPerSecond: 0.5, ttlMs: 10_000 })
    deposit(budget, 160)
    expect(budget.balance).toBe(21)
    await clock.advance(5_000)
    expect(withdrawAll(budget)).toBe(21)
    await clock.advance(6_000)
    // The calls are forgotten, the withdrawals not yet.
    expect(budget.balance).toBe(-16)
    await clock.advance(5_000)
    expect(budget.balance).toBe(5)
  })

  it('comes back after a long silence to its minimum, not to more', async () => {
    const clock = new SimulatedClock()
    const budget = retryBudget({ clock })
    deposit(budget, 320)
    withdrawAll(budget)
    await clock.advance(86_400_000)
    expect(budget.balance).toBe(10)
  })

  it('keeps what it knows when its rule changes', () => {
    const clock = new SimulatedClock()
    const rule = new LiveValue<{ ratio: number; minPerSecond: number; ttlMs: number; clock: SimulatedClock }>({
      ratio: 0.1,
      minPerSecond: 0,
      ttlMs: 10_000,
      clock,
    })
    const budget = retryBudget(rule)
    deposit(budget, 100)
    expect(budget.balance).toBe(10)
    rule.set({ ratio: 0.5, minPerSecond: 0, ttlMs: 20_000, clock })
    deposit(budget, 10)
    expect(budget.balance).toBe(15)
    budget.close()
    expect(rule.listenerCount).toBe(0)
  })

  it('never pays more in a window than its calls and its minimum make', async () => {
    const event = fc.record({ waitMs: fc.nat(3_000), calls: fc.nat(30), retries: fc.nat(10) })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async events => {
        const clock = new SimulatedClock()
        const budget = retryBudget({ clock })
        const log: { readonly atMs: number; readonly calls: number; readonly paid: number }[] = []
        for (const { waitMs, calls, retries } of events) {
          await clock.advance(waitMs)
          deposit(budget, calls)
          let paid = 0
          for (let retry = 0; retry < retries; retry++) if (budget.tryWithdraw()) paid += 1
          log.push({ atMs: clock.monotonicMs(), calls, paid })
        }
        for (const { atMs } of log) {
          // 16 calls may be noted late, and a bucket is a tenth of the window.
          const inWindow = (ms: number) => log.filter(each => each.atMs <= atMs && each.atMs > atMs - ms)
          const paid = inWindow(9_000).reduce((sum, each) => sum + each.paid, 0)
          const calls = log
            .filter(each => each.atMs <= atMs && each.atMs > atMs - 19_000)
            .reduce((sum, each) => sum + each.calls, 0)
          expect(paid).toBeLessThanOrEqual(10 + (calls + 16) * 0.1 + 1e-6)
        }
      }),
      { numRuns: 60 },
    )
  })

  it.each([
    [{ ratio: 1.5 }, 'Expected `ratio` to be a number from 0 to 1, got 1.5'],
    [{ minPerSecond: -1 }, 'got -1'],
    [{ ttlMs: 10 }, 'Expected `ttlMs` to be an integer from 1000'],
    [{ percent: 10 }, 'Unknown option `percent` of retryBudget'],
    [{ ttlMs: 60_001 }, /Expected `ttlMs` to be .*60000.*got 60001/],
  ])('refuses %j', (options, message) => {
    expect(() => retryBudget(options as object)).toThrow(message)
  })
})
