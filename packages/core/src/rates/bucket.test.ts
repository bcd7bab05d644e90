import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RateTake } from '../ports/rates.ts'
import type { Bucket } from './bucket.ts'
import { comesBackInMs, decisionOf, levelAt, readVerdict, verdictOn } from './bucket.ts'

const quotas = fc.record({
  limit: fc.integer({ min: 1, max: 1_000_000_000 }),
  periodMs: fc.integer({ min: 1, max: 86_400_000 }),
  burst: fc.integer({ min: 1, max: 1_000_000 }),
})

describe('A bucket', () => {
  it('grants over any time no more than its burst and what comes back in that time', () => {
    const steps = fc.array(
      fc.record({
        afterMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(quotas, steps, (quota, all) => {
        let bucket: Bucket | undefined
        let [nowMs, granted] = [0, 0]
        for (const { afterMs, share } of all) {
          nowMs += afterMs
          const cost = Math.max(1, Math.floor(share * quota.burst))
          const verdict = verdictOn({ key: 'k', quota, cost, least: 1 }, levelAt(bucket, quota, nowMs))
          if (verdict.granted === undefined) continue
          granted += verdict.granted
          bucket = { level: verdict.level, atMs: nowMs }
          expect(bucket.level).toBeLessThanOrEqual(quota.burst + 1e-5)
        }
        const most = quota.burst + (quota.limit * nowMs) / quota.periodMs
        expect(granted).toBeLessThanOrEqual(most * (1 + 1e-9) + 1e-4)
      }),
      { seed: 20_261_122, numRuns: 300 },
    )
  })

  it('says to wait for so long that the same take is granted then', () => {
    fc.assert(
      fc.property(
        quotas,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (quota, out, share) => {
          const level = out * quota.burst
          const take: RateTake = { key: 'k', quota, cost: Math.max(1, Math.ceil(share * quota.burst)) }
          const decision = decisionOf(take, verdictOn(take, level))
          if (decision.kind === 'granted') return
          const later = levelAt({ level, atMs: 0 }, quota, decision.retryAfterMs)
          expect(verdictOn(take, later).granted).toBe(take.cost)
          const whole = levelAt({ level, atMs: 0 }, quota, decision.resetMs)
          expect(whole).toBeLessThanOrEqual(1e-5)
        },
      ),
      { seed: 20_261_122, numRuns: 500 },
    )
  })

  it('brings nothing back while the clock goes back', () => {
    const quota = { limit: 10, periodMs: 1_000, burst: 10 }
    expect(levelAt({ level: 4, atMs: 5_000 }, quota, 1_000)).toBe(4)
    expect(levelAt({ level: 40, atMs: 5_000 }, quota, 5_000)).toBe(40)
    expect(levelAt(undefined, quota, 0)).toBe(0)
  })

  it('is whole in no time where only the error of rounding is out', () => {
    expect(comesBackInMs({ limit: 1, periodMs: 86_400_000, burst: 1 }, 1e-9)).toBe(0)
    expect(comesBackInMs({ limit: 3, periodMs: 1_000, burst: 1 }, 1)).toBe(334)
  })

  it.each([[undefined], [''], ['5'], [7]])('is not read from what no store says: %s', answer => {
    expect(() => readVerdict(answer)).toThrow('decided')
  })
})
