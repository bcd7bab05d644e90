import { seededRandom } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { pipeline } from '../pipeline.ts'
import { AcceptWindow } from './accept-window.ts'
import type { ThrottleOptions } from './throttle.ts'
import { throttle } from './throttle.ts'

class Busy extends Error {
  readonly status = 503
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
}

function stage(options: ThrottleOptions = {}) {
  const clock = new SimulatedClock()
  const policy = throttle({ clock, random: seededRandom(3), ...options })
  const counts = { sent: 0, refused: 0 }
  const ask = async (isAccepted: boolean): Promise<void> => {
    try {
      await policy.execute(() => {
        counts.sent += 1
        if (!isAccepted) throw new Busy()
      })
    } catch (error) {
      if ((error as { readonly code?: string }).code === 'HF_REJECTED') counts.refused += 1
    }
  }
  return { clock, policy, counts, ask }
}

describe('throttle', () => {
  it('sends everything while most of it is accepted', async () => {
    const { ask, counts } = stage()
    for (let call = 0; call < 200; call += 1) await ask(call % 2 === 0)
    expect(counts).toEqual({ sent: 200, refused: 0 })
  })

  it('sends about one in ten when nothing is accepted, and one a second however few', async () => {
    const { ask, clock, counts } = stage()
    for (let call = 0; call < 2_000; call += 1) {
      await ask(false)
      await clock.advance(1)
    }
    expect(counts.sent).toBeGreaterThan(150)
    expect(counts.sent).toBeLessThan(300)
    const strict = stage({ refuseRatioMax: 1 })
    for (let call = 0; call < 600; call += 1) {
      await strict.ask(false)
      await strict.clock.advance(100)
    }
    // 60 s: one forced pass each, and a few by chance.
    expect(strict.counts.sent).toBeGreaterThanOrEqual(55)
    expect(strict.counts.sent).toBeLessThan(90)
  })

  it('sends all again once the window has moved on from the bad time', async () => {
    const { ask, clock, counts, policy } = stage({ windowMs: 10_000 })
    for (let call = 0; call < 500; call += 1) await ask(false)
    await clock.advance(600_000)
    counts.sent = 0
    for (let call = 0; call < 100; call += 1) await ask(true)
    expect(counts.sent).toBe(100)
    expect(policy.describe().state).toMatchObject({ refuseRatio: 0 })
  })

  it('refuses none of many calls that begin at once, also after a rest', async () => {
    const { clock, policy } = stage()
    for (const round of [1, 2]) {
      const calls = Array.from({ length: 200 }, () =>
        policy.execute(() => new Promise<void>(resolve => void clock.setTimer(resolve, 200))),
      )
      await clock.advance(200)
      await Promise.all(calls)
      expect(policy.describe()).toMatchObject({ refused: 0, admitted: round * 200 })
      await clock.advance(600_000)
    }
  })

  it('counts calls that nobody answers once they are old', async () => {
    const { clock, policy } = stage()
    for (let call = 0; call < 200; call += 1) void policy.execute(() => new Promise(() => {})).catch(() => {})
    await clock.advance(10_000)
    for (let call = 0; call < 100; call += 1) void policy.execute(() => 1).catch(() => {})
    expect(policy.describe().refused).toBeGreaterThan(50)
  })

  it('takes errors of the work that are no refusal for accepted calls', async () => {
    const { policy } = stage()
    for (let call = 0; call < 50; call += 1) {
      await policy.execute(() => Promise.reject(new Error('bug'))).catch(() => {})
    }
    expect(policy.describe()).toMatchObject({ refused: 0, state: { requests: 50, accepts: 50 } })
  })

  it('counts what its user calls a refusal', async () => {
    const { policy } = stage({ isRefusal: outcome => outcome === 'busy' })
    for (let call = 0; call < 50; call += 1) await policy.execute(() => 'busy').catch(() => {})
    expect(policy.describe().refused).toBeGreaterThan(0)
  })

  it('counts calls that say nothing as if they had not been sent: given up, or refused by a policy beside it', async () => {
    const { clock, policy } = stage()
    const beside = bulkhead({ limit: 1, clock })
    const both = pipeline(policy, beside)
    for (let round = 0; round < 20; round += 1) {
      const controller = new AbortController()
      const givenUp = both.execute(({ signal }) => untilAborted(signal), { signal: controller.signal }).catch(() => {})
      await both.execute(() => 'refused by the bulkhead').catch(() => {})
      controller.abort()
      await givenUp
    }
    expect(beside.describe().refused).toBe(20)
    expect(policy.describe().state).toMatchObject({ requests: 0, accepts: 0 })
  })

  it('refuses nothing because a user function that looks at outcomes throws', async () => {
    const broken = (): never => {
      throw new Error('broken')
    }
    const { policy } = stage({ isRefusal: broken })
    for (let call = 0; call < 50; call += 1) await policy.execute(() => 'fine')
    expect(policy.describe().state).toMatchObject({ requests: 50, accepts: 50 })
  })

  it.each([
    [{ isRefusal: 503 }, 'Expected `isRefusal` to be a function, got 503.'],
    [{ multiplier: 0.5 }, 'Expected `multiplier` to be a number from 1 to 10, got 0.5.'],
    [{ windowMs: 5 }, 'Expected `windowMs` to be an integer from 1000'],
    [{ k: 2 }, 'Unknown option `k` of throttle'],
  ])('refuses %o', (options, message) => {
    expect(() => throttle(options as ThrottleOptions)).toThrow(message)
  })
})

describe('a window of accepts', () => {
  it('forgets a call at the time at which it was sent, and none twice that has left the window', () => {
    const window = new AcceptWindow(6_000)
    const ticket = window.asked(1_000)
    window.answered(window.asked(1_000), 1_000, false)
    window.answered(window.asked(2_000), 2_000, false)
    expect(window.requests).toBe(3)
    window.forget(ticket, 2_000)
    expect(window.requests).toBe(2)
    window.advance(7_000)
    expect(window.requests).toBe(1)
    window.forget(ticket, 7_000)
    expect(window.requests).toBe(1)
  })

  it('has what a list of all calls has, but for one part in sixty', () => {
    const step = fc.record({ afterMs: fc.integer({ min: 0, max: 400 }), isAccepted: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const window = new AcceptWindow(6_000)
        const calls: { readonly atMs: number; readonly isAccepted: boolean }[] = []
        let nowMs = 1_000
        for (const { afterMs, isAccepted } of steps) {
          nowMs += afterMs
          window.answered(window.asked(nowMs), nowMs, isAccepted)
          calls.push({ atMs: nowMs, isAccepted })
        }
        const within = (ms: number): number => calls.filter(({ atMs }) => atMs > nowMs - ms).length
        expect(window.requests).toBeGreaterThanOrEqual(within(5_900))
        expect(window.requests).toBeLessThanOrEqual(within(6_001))
        expect(window.accepts).toBeLessThanOrEqual(calls.filter(({ isAccepted }) => isAccepted).length)
      }),
    )
  })
})
