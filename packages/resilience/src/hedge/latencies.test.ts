import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Latencies } from './latencies.ts'

describe('latencies', () => {
  it('say nothing before there are enough', () => {
    const latencies = new Latencies({ refreshMs: 3_000, samplesMin: 50 })
    for (let sample = 1; sample < 50; sample++) latencies.add(sample)
    expect(latencies.quantileMs(0.95, 0)).toBeUndefined()
    latencies.add(50)
    expect(latencies.quantileMs(0.95, 0)).toBe(48)
  })

  it('are looked at again after a while, or for another quantile', () => {
    const latencies = new Latencies({ refreshMs: 3_000, samplesMin: 1 })
    latencies.add(10)
    expect(latencies.quantileMs(0.95, 0)).toBe(10)
    latencies.add(90)
    expect(latencies.quantileMs(0.95, 2_999)).toBe(10)
    expect(latencies.quantileMs(0.95, 3_000)).toBe(90)
    expect(latencies.quantileMs(0.5, 3_000)).toBe(10)
  })

  it('are those of the last thousand, and their quantile is one of them by rank', () => {
    const samples = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 2_500 })
    fc.assert(
      fc.property(samples, fc.double({ min: 0.5, max: 0.999, noNaN: true }), (all, quantile) => {
        const latencies = new Latencies({ refreshMs: 0, samplesMin: 1 })
        for (const sample of all) latencies.add(sample)
        const last = all.slice(-1_000)
        const value = latencies.quantileMs(quantile, 0) as number
        expect(last).toContain(value)
        expect(last.filter(sample => sample <= value).length).toBeGreaterThanOrEqual(quantile * last.length - 1e-9)
        expect(last.filter(sample => sample < value).length).toBeLessThan(quantile * last.length)
      }),
      { numRuns: 40 },
    )
  })
})
