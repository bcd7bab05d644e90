import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimulatedClock } from './simulated-clock.ts'

function recorder(clock: SimulatedClock): { readonly seen: string[]; set(name: string, delayMs: number): void } {
  const seen: string[] = []
  return {
    seen,
    set: (name, delayMs) => void clock.setTimer(() => seen.push(`${name}@${clock.monotonicMs()}`), delayMs),
  }
}

describe('SimulatedClock', () => {
  it('runs due timers in the order of their times, each at its own time', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    const { seen, set } = recorder(clock)
    set('late', 30)
    set('early', 10)
    set('never', 31)
    await clock.advance(30)
    expect(seen).toEqual(['early@10', 'late@30'])
    expect(clock.monotonicMs()).toBe(30)
    expect(clock.pendingTimers).toBe(1)
  })

  it('runs timers of one time in the order they were set', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    const { seen, set } = recorder(clock)
    for (const name of ['a', 'b', 'c']) set(name, 5)
    await clock.advance(5)
    expect(seen).toEqual(['a@5', 'b@5', 'c@5'])
  })

  it('lets every promise settle between two timers', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    const seen: string[] = []
    clock.setTimer(() => {
      void (async () => {
        for (let hop = 0; hop < 50; hop += 1) await Promise.resolve()
        seen.push('promise of the first')
      })()
    }, 1)
    clock.setTimer(() => seen.push('second'), 1)
    await clock.advance(1)
    expect(seen).toEqual(['promise of the first', 'second'])
  })

  it('runs a timer that a timer or a promise sets, when it is due within the same advance', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    const { seen, set } = recorder(clock)
    clock.setTimer(() => void Promise.resolve().then(() => set('nested', 5)), 5)
    await clock.advance(9)
    expect(seen).toEqual([])
    await clock.advance(1)
    expect(seen).toEqual(['nested@10'])
  })

  it('never runs a cancelled timer', async () => {
    const clock = new SimulatedClock()
    let runs = 0
    const timer = clock.setTimer(() => (runs += 1), 5)
    clock.setTimer(() => timer.cancel(), 4)
    await clock.advance(10)
    expect(runs).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('counts the timers that would hold the process', () => {
    const clock = new SimulatedClock()
    clock.setTimer(() => {}, 1)
    const holding = clock.setTimer(() => {}, 1, { background: false })
    expect([clock.pendingTimers, clock.holdingTimers]).toEqual([2, 1])
    holding.cancel()
    expect([clock.pendingTimers, clock.holdingTimers]).toEqual([1, 0])
  })

  it('moves only the wall clock when it jumps, and when the machine sleeps', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0, wallMs: 1_000 })
    const { seen, set } = recorder(clock)
    set('timer', 10)
    clock.jumpWall(-500)
    clock.sleepMachine(60_000)
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([0, 60_500])
    await clock.advance(9)
    expect(seen).toEqual([])
    await clock.advance(1)
    expect(seen).toEqual(['timer@10'])
  })

  it('runs what became due in a stall at the next advance, without going back in time', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0, wallMs: 0 })
    const { seen, set } = recorder(clock)
    set('due', 10)
    clock.stall(100)
    expect(seen).toEqual([])
    await clock.advance(0)
    expect(seen).toEqual(['due@100'])
    expect(clock.wallMs()).toBe(100)
  })

  it('makes overlapping advances follow one another', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    await Promise.all([clock.advance(5), clock.advance(7)])
    expect(clock.monotonicMs()).toBe(12)
  })

  it('rejects with what a timer throws, and goes on afterwards', async () => {
    const clock = new SimulatedClock({ monotonicMs: 0 })
    clock.setTimer(() => {
      throw new Error('a timer failed')
    }, 1)
    await expect(clock.advance(1)).rejects.toThrow('a timer failed')
    await clock.advance(1)
    expect(clock.monotonicMs()).toBe(2)
  })

  it('refuses a delay that is not a number', () => {
    expect(() => new SimulatedClock().setTimer(() => {}, Number.NaN)).toThrow('not a number')
  })

  it('runs all timers that are due, sorted, however the time is cut into advances', async () => {
    const delays = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 })
    const steps = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(delays, steps, async (delaysMs, stepsMs) => {
        const clock = new SimulatedClock({ monotonicMs: 0 })
        const seen: number[] = []
        for (const delayMs of delaysMs) clock.setTimer(() => seen.push(clock.monotonicMs()), delayMs)
        for (const stepMs of stepsMs) await clock.advance(stepMs)
        const passedMs = stepsMs.reduce((sum, stepMs) => sum + stepMs, 0)
        const due = delaysMs.filter(delayMs => stepsMs.length > 0 && delayMs <= passedMs)
        expect(seen).toEqual([...due].sort((a, b) => a - b))
      }),
      { seed: 20_301, numRuns: 60 },
    )
  })
})
