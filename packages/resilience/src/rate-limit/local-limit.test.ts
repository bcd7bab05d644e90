import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Gcra } from './gcra.ts'
import { LocalLimit } from './local-limit.ts'
import type { Quota } from './meter.ts'

const QUOTA: Quota = { limit: 10, periodMs: 1_000, burst: 3 }

function limitOf(keysMax: number, named: Readonly<Record<string, Quota>> = {}): LocalLimit {
  const meters = {
    usual: new Gcra(QUOTA),
    named: new Map(Object.entries(named).map(([key, quota]) => [key, new Gcra(quota)] as const)),
  }
  return new LocalLimit(meters, { keysMax, hashSeed: 7 })
}

describe('LocalLimit', () => {
  const asked = fc.array(fc.record({ key: fc.nat(60), afterMs: fc.nat(120) }), { minLength: 50, maxLength: 300 })

  it('decides for each key as if it were alone, as long as all in use have room', () => {
    fc.assert(
      fc.property(asked, calls => {
        const limit = limitOf(64)
        const alone = new Map<number, LocalLimit>()
        let nowMs = 1_000
        for (const { key, afterMs } of calls) {
          nowMs += afterMs
          if (!alone.has(key)) alone.set(key, limitOf(1))
          const single = alone.get(key) as LocalLimit
          expect(limit.take(`k${key}`, 1, nowMs)).toBe(single.take(undefined, 1, nowMs))
        }
        expect(limit.describe().crowdedOut).toBe(0)
      }),
    )
  })

  it('keeps no more keys than it may, and grants no key more than its quota when there are more', () => {
    fc.assert(
      fc.property(asked, calls => {
        const limit = limitOf(8)
        const granted = new Map<number, number[]>()
        let nowMs = 1_000
        for (const { key, afterMs } of calls) {
          nowMs += afterMs / 10
          if (limit.take(`k${key}`, 1, nowMs) < 0) continue
          const times = granted.get(key) ?? []
          times.push(nowMs)
          granted.set(key, times)
          for (const [index, sinceMs] of times.entries()) {
            const most = QUOTA.burst + ((nowMs - sinceMs) * QUOTA.limit) / QUOTA.periodMs
            expect(times.length - index).toBeLessThanOrEqual(most + 0.001)
          }
        }
        expect(limit.describe().keys).toBeLessThanOrEqual(8)
      }),
    )
  })

  it('does not reset a limited key for however many others that come', () => {
    const limit = limitOf(100)
    for (let count = 0; count < 3; count++) limit.take('limited', 1, 1_000)
    for (let count = 0; count < 10_000; count++) limit.take(`other${count}`, 1, 1_001)
    expect(limit.take('limited', 1, 1_002)).toBeLessThan(0)
    expect(limit.describe()).toMatchObject({ keys: 100, evictions: 0, crowdedOut: 9_901 })
  })

  it('forgets keys whose quota is whole for those that come', () => {
    const limit = limitOf(10)
    for (let count = 0; count < 10; count++) limit.take(`early${count}`, 1, 1_000)
    for (let count = 0; count < 10; count++) limit.take(`late${count}`, 1, 2_000)
    expect(limit.describe()).toEqual({ keys: 10, evictions: 10, crowdedOut: 0 })
  })

  it('lets a key that was crowded out not begin anew when it gets a place', () => {
    const limit = limitOf(1)
    limit.take('first', 3, 1_000)
    expect(limit.take('second', 3, 1_250)).toBe(0)
    // By now the first is whole, and makes room.
    expect(limit.take('second', 3, 1_310)).toBeLessThan(0)
    expect(limit.view('second', 1_310).remaining).toBe(0)
  })

  it('gives hot keys quotas of their own', () => {
    const limit = limitOf(10, { hot: { limit: 1, periodMs: 1_000, burst: 1 } })
    expect(limit.take('hot', 1, 1_000)).toBe(0)
    expect(limit.take('hot', 1, 1_000)).toBeCloseTo(-1_000, 2)
    expect(limit.take('cool', 3, 1_000)).toBe(0)
    expect(limit.view('hot', 1_000)).toEqual({ limit: 1, periodMs: 1_000, remaining: 0, resetMs: 1_000 })
  })

  it('gives back to a key of its own, to one without a place, and to all that have no key', () => {
    const limit = limitOf(1)
    for (const key of ['placed', 'crowded', undefined]) {
      expect(limit.take(key, 3, 1_000)).toBe(0)
      limit.undo(key, 2, 0)
      expect(limit.view(key, 1_000).remaining).toBe(2)
    }
  })

  it('keeps what was taken through a change, for each key by its own quota', () => {
    const limit = limitOf(10)
    limit.take('a', 2, 1_000)
    limit.take(undefined, 1, 1_000)
    const usual = new Gcra({ limit: 20, periodMs: 1_000, burst: 6 })
    limit.change({ usual, named: new Map([['a', new Gcra({ limit: 1, periodMs: 1_000, burst: 3 })]]) }, 10, 1_000)
    expect(limit.view('a', 1_000)).toMatchObject({ remaining: 1, resetMs: 2_000 })
    expect(limit.view(undefined, 1_000).remaining).toBe(5)
  })
})
