import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { WheelEntry } from './timer-wheel.ts'
import { TimerWheel, wheelOf } from './timer-wheel.ts'

class Entry implements WheelEntry {
  tick = -1
  before: WheelEntry | undefined = undefined
  after: WheelEntry | undefined = undefined
  readonly firedAtMs: number[] = []
  readonly #clock: SimulatedClock
  readonly #then: () => void

  constructor(clock: SimulatedClock, then: () => void = () => {}) {
    this.#clock = clock
    this.#then = then
  }

  fire(): void {
    this.firedAtMs.push(this.#clock.monotonicMs())
    this.#then()
  }
}

const clock = new SimulatedClock({ monotonicMs: 1_000 })
const add = (wheel: TimerWheel, delayMs: number, then?: () => void, on = clock): Entry => {
  const entry = new Entry(on, then)
  wheel.add(entry, on.monotonicMs(), delayMs)
  return entry
}

const errors: unknown[] = []
const hear = (message: unknown): void => void errors.push((message as { readonly error: unknown }).error)
afterEach(() => {
  unsubscribe('holdfast:listener.error', hear)
  errors.length = 0
})

const lateMs = (entry: Entry, dueMs: number): number => (entry.firedAtMs[0] ?? Infinity) - dueMs

describe('a timer wheel', () => {
  it('is one for each clock', () => {
    expect(wheelOf(clock)).toBe(wheelOf(clock))
    expect(wheelOf(new SimulatedClock())).not.toBe(wheelOf(clock))
  })

  it('fires once, never early, and at most 10 ms late', async () => {
    const wheel = new TimerWheel(clock)
    const dueMs = clock.monotonicMs() + 37
    const entry = add(wheel, 37)
    await clock.advance(37)
    expect(entry.firedAtMs).toEqual([])
    await clock.advance(10_000)
    expect(entry.firedAtMs).toHaveLength(1)
    expect(lateMs(entry, dueMs)).toBeGreaterThanOrEqual(0)
    expect(lateMs(entry, dueMs)).toBeLessThanOrEqual(10)
  })

  // The wheel slept five ticks after each turn, whatever was due in them: a timeout came up to 50 ms late behind another.
  it('is as punctual for an entry that is due shortly after another', async () => {
    const wheel = new TimerWheel(clock)
    const nowMs = clock.monotonicMs()
    const entries = [20, 30, 40, 50].map(delayMs => [add(wheel, delayMs), nowMs + delayMs] as const)
    await clock.advance(200)
    for (const [entry, dueMs] of entries) expect(lateMs(entry, dueMs)).toBeLessThanOrEqual(10)
  })

  it('does not fire what was taken off, and taking off twice or after it fired is nothing', async () => {
    const wheel = new TimerWheel(clock)
    const [first, second] = [add(wheel, 20), add(wheel, 20)]
    wheel.remove(first)
    wheel.remove(first)
    await clock.advance(100)
    wheel.remove(second)
    expect([first.firedAtMs.length, second.firedAtMs.length, wheel.count]).toEqual([0, 1, 0])
  })

  it('takes an entry that fires off, and can take it again', async () => {
    const wheel = new TimerWheel(clock)
    let times = 0
    const again = new Entry(clock, () => {
      if (++times < 3) wheel.add(again, clock.monotonicMs(), 20)
    })
    wheel.add(again, clock.monotonicMs(), 20)
    await clock.advance(200)
    expect([again.firedAtMs.length, wheel.count]).toEqual([3, 0])
  })

  it('does not fire early what another entry of its tick puts in anew', async () => {
    const wheel = new TimerWheel(clock)
    const later = new Entry(clock)
    // Of one tick, the one that came last is the first to fire.
    wheel.add(later, clock.monotonicMs(), 20)
    const mover = add(wheel, 20, () => {
      wheel.remove(later)
      wheel.add(later, clock.monotonicMs(), 500)
    })
    await clock.advance(100)
    expect([mover.firedAtMs.length, later.firedAtMs.length]).toEqual([1, 0])
    await clock.advance(500)
    expect(later.firedAtMs).toHaveLength(1)
  })

  it('goes on after an entry that throws, and reports what it threw', async () => {
    subscribe('holdfast:listener.error', hear)
    const wheel = new TimerWheel(clock)
    const other = add(wheel, 20)
    add(wheel, 20, () => {
      throw new Error('broken')
    })
    const later = add(wheel, 40)
    await clock.advance(100)
    expect([other.firedAtMs.length, later.firedAtMs.length]).toEqual([1, 1])
    expect(errors).toEqual([new Error('broken')])
  })

  it('fires all that was due after the process stood still for longer than a round', async () => {
    const own = new SimulatedClock()
    const wheel = new TimerWheel(own)
    const entries = [15, 4_000, 5_200, 11_000, 59_000].map(delayMs => add(wheel, delayMs, undefined, own))
    own.stall(60_000)
    await own.advance(0)
    expect(entries.map(({ firedAtMs }) => firedAtMs.length)).toEqual([1, 1, 1, 1, 1])
  })

  it('holds the process while there is something to end, and soon after lets it go', async () => {
    const own = new SimulatedClock()
    const wheel = new TimerWheel(own)
    const entry = add(wheel, 60_000, undefined, own)
    await own.advance(1_000)
    expect(own.holdingTimers).toBe(1)
    wheel.remove(entry)
    await own.advance(60)
    expect(own.pendingTimers).toBe(0)
  })

  it('has one timer for all, however many calls come and go', async () => {
    const own = new SimulatedClock()
    const wheel = new TimerWheel(own)
    for (let round = 0; round < 100; round++) {
      const entries = [30, 300, 3_000].map(delayMs => add(wheel, delayMs, undefined, own))
      await own.advance(7)
      expect(own.pendingTimers).toBe(1)
      for (const entry of entries) wheel.remove(entry)
    }
  })

  // The clock was read some time ago: what it is given late is late, but it is not lost.
  it('takes a time that has passed already, and fires soon', async () => {
    const own = new SimulatedClock()
    const wheel = new TimerWheel(own)
    const readMs = own.monotonicMs()
    await own.advance(3_000)
    const [stale, other] = [new Entry(own), new Entry(own)]
    wheel.add(stale, readMs, 100)
    wheel.add(other, readMs, 100)
    await own.advance(50)
    expect([stale.firedAtMs.length, other.firedAtMs.length]).toEqual([1, 1])
  })

  it('does as a list does that is looked through at every step', async () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('add' as const), ms: fc.integer({ min: 0, max: 12_000 }) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), ms: fc.nat(40) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 90 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 7_000 }) }),
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(9), async (steps, phaseMs) => {
        const own = new SimulatedClock({ monotonicMs: 1_000 + phaseMs + 0.25 })
        const wheel = new TimerWheel(own)
        const model: { readonly entry: Entry; readonly dueMs: number; removedAtMs: number }[] = []
        for (const { kind, ms } of steps) {
          const nowMs = own.monotonicMs()
          if (kind === 'add') {
            model.push({ entry: add(wheel, ms, undefined, own), dueMs: nowMs + ms, removedAtMs: Infinity })
          } else if (kind === 'pass') await own.advance(ms)
          else {
            const one = model[ms % Math.max(1, model.length)]
            if (one !== undefined) wheel.remove(one.entry)
            if (one?.entry.firedAtMs.length === 0) one.removedAtMs = Math.min(one.removedAtMs, nowMs)
          }
          const standing = model.filter(each => each.removedAtMs === Infinity && each.entry.firedAtMs.length === 0)
          expect(wheel.count).toBe(standing.length)
        }
        await own.advance(13_000)
        const isAsDue = ({ entry, dueMs, removedAtMs }: (typeof model)[number]): boolean =>
          removedAtMs < Infinity
            ? entry.firedAtMs.length === 0
            : entry.firedAtMs.length === 1 && lateMs(entry, dueMs) >= 0 && lateMs(entry, dueMs) <= 10.001
        expect(model.filter(each => !isAsDue(each))).toEqual([])
        expect(own.pendingTimers).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
