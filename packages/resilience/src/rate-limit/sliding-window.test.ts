import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlidingWindow } from './sliding-window.ts'

interface Taken {
  readonly atMs: number
  readonly cost: number
}

const PERIOD_MS = 100

/** What a log of all calls says was taken within the last `windowMs`. */
function takenWithin(log: readonly Taken[], windowMs: number, nowMs: number): number {
  return log.filter(({ atMs }) => atMs > nowMs - windowMs).reduce((sum, { cost }) => sum + cost, 0)
}

describe('SlidingWindow', () => {
  it('never lets more than the limit into any window, and gives permits back at most a tenth of a period late', () => {
    const calls = fc.array(
      fc.record({ afterMs: fc.double({ min: 0, max: 40, noNaN: true }), cost: fc.integer({ min: 0, max: 4 }) }),
      {
        maxLength: 80,
      },
    )
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 12 }), calls, (limit, asked) => {
        const meter = new SlidingWindow({ limit, periodMs: PERIOD_MS, burst: limit })
        const state = new Float64Array(meter.width)
        const log: Taken[] = []
        let nowMs = 1_000
        for (const { afterMs, cost } of asked) {
          nowMs += afterMs
          const ticket = meter.take(state, 0, cost, nowMs)
          if (ticket >= 0) log.push({ atMs: nowMs, cost })
          // Granted: no window is over the limit. Refused: one that is a slice longer would be.
          const inWindow = ticket >= 0 ? takenWithin(log, PERIOD_MS, nowMs) : 0
          const withMore = ticket >= 0 ? Infinity : takenWithin(log, PERIOD_MS * 1.1 + 0.001, nowMs) + cost
          expect(inWindow).toBeLessThanOrEqual(limit)
          expect(withMore).toBeGreaterThan(limit)
          // What it says to wait for is enough, if nothing else is taken.
          const waitMs = Math.max(0, -ticket)
          expect(waitMs).toBeLessThanOrEqual(PERIOD_MS * 1.1)
          const again = ticket >= 0 ? 0 : meter.take(state.slice(), 0, cost, nowMs + waitMs + 1e-6)
          expect(again).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })

  it('lets no second limit in at the boundary of a period, where a fixed window does', () => {
    const meter = new SlidingWindow({ limit: 100, periodMs: 1_000, burst: 100 })
    const state = new Float64Array(meter.width)
    let admitted = 0
    for (let count = 0; count < 100; count++) if (meter.take(state, 0, 1, 9_995) >= 0) admitted += 1
    for (let count = 0; count < 100; count++) if (meter.take(state, 0, 1, 10_005) >= 0) admitted += 1
    expect(admitted).toBe(100)
  })

  it('takes back from the slice that the permit was taken in', () => {
    const meter = new SlidingWindow({ limit: 2, periodMs: 100, burst: 2 })
    const state = new Float64Array(meter.width)
    const ticket = meter.take(state, 0, 1, 1_000)
    meter.take(state, 0, 1, 1_050)
    meter.undo(state, 0, 1, ticket)
    expect(meter.look(state, 0, 1_051).remaining).toBe(1)
    expect(meter.look(state, 0, 1_115).remaining).toBe(1)
    expect(meter.look(state, 0, 1_161).remaining).toBe(2)
    // It has long been given back by time.
    meter.undo(state, 0, 1, ticket)
    expect(meter.look(state, 0, 1_161).remaining).toBe(2)
  })

  it('keeps what was taken through a change of the period, and says when it is whole', () => {
    const short = new SlidingWindow({ limit: 5, periodMs: 100, burst: 5 })
    const state = new Float64Array(short.width)
    short.take(state, 0, 3, 1_000)
    const long = new SlidingWindow({ limit: 5, periodMs: 1_000, burst: 5 })
    long.adopt(state, 0, short, 1_050)
    expect(long.look(state, 0, 1_050).remaining).toBe(2)
    expect(long.take(state, 0, 6, 1_050)).toBe(-Infinity)
    const { resetMs } = long.look(state, 0, 1_050)
    expect(long.isWhole(state, 0, 1_050 + resetMs - 1)).toBe(false)
    expect(long.isWhole(state, 0, 1_050 + resetMs)).toBe(true)
  })
})
