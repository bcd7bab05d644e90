import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { ClockDeadline, answeredDeadline, driftMs, momentOf } from './deadline.ts'

describe('driftMs', () => {
  it('is one percent and two milliseconds', () => {
    expect([driftMs(0), driftMs(1_000), driftMs(30_000)]).toEqual([2, 12, 302])
  })
})

describe('ClockDeadline', () => {
  it('counts down to 0 and below', async () => {
    const clock = new SimulatedClock()
    const deadline = new ClockDeadline(clock, momentOf(clock), 100)
    await clock.advance(60)
    expect(deadline.remainingMs()).toBe(40)
    await clock.advance(40)
    expect(deadline.remainingMs()).toBe(0)
    await clock.advance(1)
    expect(deadline.remainingMs()).toBe(-1)
  })

  it('ends early when the machine slept, which the monotonic clock does not see', () => {
    const clock = new SimulatedClock()
    const deadline = new ClockDeadline(clock, momentOf(clock), 100)
    clock.sleepMachine(70)
    expect(deadline.remainingMs()).toBe(30)
  })

  it('is not prolonged by a wall clock that is set back', () => {
    const clock = new SimulatedClock()
    const deadline = new ClockDeadline(clock, momentOf(clock), 100)
    clock.jumpWall(-1_000_000)
    expect(deadline.remainingMs()).toBe(100)
  })

  it('never says more than either clock, whatever the clocks do', () => {
    const step = fc.record({ kind: fc.constantFrom('stall', 'sleep', 'jump'), ms: fc.integer({ min: -500, max: 500 }) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.array(step, { maxLength: 12 }), (lengthMs, steps) => {
        const clock = new SimulatedClock({ monotonicMs: 5_000, wallMs: 1_000_000 })
        const start = momentOf(clock)
        const deadline = new ClockDeadline(clock, start, lengthMs)
        for (const { kind, ms } of steps) {
          if (kind === 'stall') clock.stall(Math.abs(ms))
          else if (kind === 'sleep') clock.sleepMachine(Math.abs(ms))
          else clock.jumpWall(ms)
          const left = [clock.monotonicMs() - start.monotonicMs, clock.wallMs() - start.wallMs].map(
            ms_ => lengthMs - ms_,
          )
          expect(deadline.remainingMs()).toBe(Math.min(...left))
        }
      }),
      { seed: 90, numRuns: 200 },
    )
  })
})

describe('answeredDeadline', () => {
  it('ends before the store ends what it counts from the receipt of the request', () => {
    const anyTtlMs = fc.integer({ min: 100, max: 86_400_000 })
    fc.assert(
      fc.property(anyTtlMs, fc.nat(5_000), (ttlMs, travelMs) => {
        const clock = new SimulatedClock()
        const sent = momentOf(clock)
        clock.stall(travelMs)
        const storeEndsAtMs = clock.monotonicMs() + ttlMs
        const clientEndsAtMs = clock.monotonicMs() + answeredDeadline(clock, sent, ttlMs).remainingMs()
        expect(clientEndsAtMs).toBeLessThanOrEqual(storeEndsAtMs - driftMs(ttlMs))
      }),
      { seed: 91, numRuns: 200 },
    )
  })
})
