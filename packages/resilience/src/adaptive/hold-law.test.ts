import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HoldBounds } from './hold-law.ts'
import { HoldLaw } from './hold-law.ts'
import { SampleWindow } from './sample-window.ts'

const BOUNDS: HoldBounds = { limitMin: 2, limitMax: 1_000, limitStart: 100, headroom: 12, maxHealthyMs: Infinity }

interface Seen {
  readonly ms?: number
  readonly successes: number
  readonly avgMs: number
  readonly drops?: number
  readonly refused?: number
  readonly inFlightMax: number
}

/** A law and the time, which goes on window by window. */
class Story {
  readonly law: HoldLaw
  readonly bounds: HoldBounds
  nowMs = 0

  constructor(bounds: Partial<HoldBounds> = {}) {
    this.bounds = { ...BOUNDS, ...bounds }
    this.law = new HoldLaw(this.bounds)
  }

  see({ ms = 100, successes, avgMs, drops = 0, refused = 0, inFlightMax }: Seen): string {
    const window = new SampleWindow(this.nowMs)
    window.successes = successes
    window.sumMs = successes * avgMs
    window.drops = drops
    window.refused = refused
    window.inFlightMax = inFlightMax
    this.nowMs += ms
    return this.law.update(window, this.nowMs, this.bounds)
  }
}

describe('HoldLaw', () => {
  it('takes the average of the first window for the base', () => {
    const story = new Story()
    expect(story.see({ successes: 100, avgMs: 16, inFlightMax: 20 })).toBe('held')
    expect(story.law.baseMs).toBe(16)
    expect(story.law.limit).toBe(100)
  })

  it('grows by half when full without a queue, and by the square root once it has been too high', () => {
    const story = new Story()
    story.see({ successes: 100, avgMs: 100, inFlightMax: 20 })
    expect(story.see({ successes: 100, avgMs: 100, inFlightMax: 100 })).toBe('grew')
    expect(story.law.limit).toBe(150)
    // 100 calls in 100 ms of 160 ms: 60 more in flight than needed.
    expect(story.see({ successes: 100, avgMs: 185, inFlightMax: 150 })).toBe('eased')
    const eased = story.law.limit
    expect(story.see({ successes: 100, avgMs: 110, inFlightMax: 144 })).toBe('grew')
    expect(story.law.limit).toBeCloseTo(eased + Math.sqrt(eased), 6)
  })

  it('cuts when more calls wait than are served, to what is needed at the least', () => {
    const story = new Story()
    story.see({ successes: 100, avgMs: 20, inFlightMax: 20 })
    expect(story.see({ successes: 100, avgMs: 90, inFlightMax: 100 })).toBe('cut')
    expect(story.law.limit).toBeCloseTo(70, 6)
  })

  it('undoes a cut after which less is served: it was slower service, and no queue', () => {
    const story = new Story()
    story.see({ successes: 400, avgMs: 20, inFlightMax: 70 })
    expect(story.see({ successes: 400, avgMs: 60, inFlightMax: 100 })).toBe('cut')
    expect(story.see({ successes: 280, avgMs: 60, inFlightMax: 93 })).toBe('restored')
    expect(story.law.limit).toBe(100)
    expect(story.law.baseMs).toBe(25)
  })

  it('leaves a cut as it is when the throughput falls by no more than chance', () => {
    const story = new Story()
    story.see({ successes: 50, avgMs: 20, inFlightMax: 20 })
    story.see({ successes: 50, avgMs: 150, inFlightMax: 100 })
    expect(story.see({ successes: 45, avgMs: 100, inFlightMax: 70 })).not.toBe('restored')
  })

  it('falls by a fifth when more than one in twenty timed out, and learns nothing from it', () => {
    const story = new Story()
    story.see({ successes: 100, avgMs: 20, inFlightMax: 20 })
    expect(story.see({ successes: 95, drops: 5, avgMs: 20, inFlightMax: 20 })).toBe('held')
    expect(story.see({ successes: 94, drops: 6, avgMs: 500, inFlightMax: 100 })).toBe('dropped')
    expect(story.law.limit).toBe(80)
    expect(story.law.baseMs).toBe(20)
  })

  it('does not rise in a window in which calls go in and do not come out', () => {
    const story = new Story()
    story.see({ successes: 100, avgMs: 16, inFlightMax: 20 })
    expect(story.see({ successes: 50, avgMs: 16, inFlightMax: 100 })).toBe('held')
    expect(story.see({ successes: 100, drops: 1, avgMs: 100, inFlightMax: 100 })).not.toBe('grew')
  })

  it('goes down for a moment after 15 s of saturation, and knows the base anew', () => {
    const story = new Story()
    story.law.baseMs = 5
    const saturated: Seen = { successes: 100, avgMs: 30, refused: 200, inFlightMax: 1_000 }
    const actions = Array.from({ length: 31 }, () => story.see(saturated))
    expect(actions.indexOf('probed')).toBe(30)
    expect(story.law.limit).toBeCloseTo(0.6 * 5, 6)
    expect(story.see({ successes: 100, avgMs: 16, inFlightMax: 3 })).toBe('relearned')
    expect(story.law.baseMs).toBe(16)
    const again = Array.from({ length: 151 }, () => story.see({ ...saturated, avgMs: 25 }))
    expect(again.indexOf('probed')).toBe(150)
  })

  it('never takes more than maxHealthyMs for the base', () => {
    const story = new Story({ maxHealthyMs: 50 })
    for (let count = 0; count < 1_000; count++) story.see({ successes: 50, avgMs: 400, inFlightMax: 20 })
    expect(story.law.baseMs).toBe(50)
  })

  it('is not above five times what was in flight lately, but for its start', () => {
    const story = new Story({ limitStart: 10 })
    story.law.limit = 500
    expect(story.see({ successes: 100, avgMs: 16, inFlightMax: 60 })).toBe('capped')
    expect(story.law.limit).toBe(300)
    for (let count = 0; count < 100; count++) story.see({ successes: 50, avgMs: 16, inFlightMax: 1 })
    expect(story.law.limit).toBe(10)
  })

  it('leaves less room to wait the more it refuses', () => {
    const limitAfter = (refused: number): number => {
      const story = new Story()
      story.see({ ms: 500, successes: 50, avgMs: 20, inFlightMax: 10 })
      for (let count = 0; count < 12; count++) {
        story.see({ ms: 500, successes: 50, avgMs: story.law.limit * 10, refused, inFlightMax: story.law.limit })
      }
      return story.law.limit
    }
    expect(limitAfter(100)).toBeLessThan(limitAfter(1) / 1.5)
  })

  it('stays in its bounds and finite, whatever it sees', () => {
    const seen = fc.record({
      ms: fc.integer({ min: 1, max: 5_000 }),
      successes: fc.integer({ min: 1, max: 10_000 }),
      avgMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
      drops: fc.integer({ min: 0, max: 1_000 }),
      refused: fc.integer({ min: 0, max: 100_000 }),
      inFlightMax: fc.integer({ min: 0, max: 2_000 }),
    })
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 200 }), windows => {
        const story = new Story({ limitMin: 3, limitMax: 200, limitStart: 20 })
        for (const one of windows) {
          story.see(one)
          expect(story.law.limit).toBeGreaterThanOrEqual(3)
          expect(story.law.limit).toBeLessThanOrEqual(200)
          expect(Number.isFinite(story.law.baseMs)).toBe(true)
        }
      }),
    )
  })

  it('never rises while all calls time out, from whatever it had learned', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100 }), (inFlightMax, avgMs) => {
        const story = new Story()
        for (let count = 0; count < 20; count++) story.see({ successes: 100, avgMs, inFlightMax })
        let before = story.law.limit
        for (let count = 0; count < 100; count++) {
          story.see({ ms: 2_000, successes: 0, drops: 50, avgMs: 0, inFlightMax: Math.round(before) })
          expect(story.law.limit).toBeLessThanOrEqual(before)
          before = story.law.limit
        }
        expect(before).toBe(2)
      }),
    )
  })
})
