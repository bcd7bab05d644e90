import { beforeEach, describe, expect, it } from 'vitest'
import { UnavailableError } from '../errors.ts'
import { SimulatedClock } from '../testing/index.ts'
import { EphemeralEnds } from './ephemeral-ends.ts'

let clock: SimulatedClock
let deadlines: number[]
let looks: number
let endsSeen: number[]
let failure: Error | undefined
let ends: EphemeralEnds

beforeEach(() => {
  clock = new SimulatedClock()
  deadlines = []
  looks = 0
  endsSeen = []
  failure = undefined
  ends = new EphemeralEnds({
    clock,
    next: async after => {
      looks += 1
      if (failure !== undefined) throw failure
      const coming = deadlines.filter(deadline => after === undefined || deadline > after)
      return { nowMs: clock.monotonicMs(), endsAtMs: coming.length === 0 ? undefined : Math.min(...coming) }
    },
    ended: () => endsSeen.push(clock.monotonicMs()),
  })
})

describe('The ends of ephemeral records', () => {
  it('are looked for once where there are none', async () => {
    await ends.look()
    await clock.advance(1_000_000)
    expect([looks, clock.pendingTimers]).toEqual([1, 0])
  })

  it('are told in time, each once, also when nobody sweeps them away', async () => {
    deadlines = [clock.monotonicMs() + 100, clock.monotonicMs() + 250]
    const startMs = clock.monotonicMs()
    await ends.look()
    await clock.advance(1_000)
    expect(endsSeen.map(atMs => atMs - startMs)).toEqual([105, 255])
    expect(clock.pendingTimers).toBe(0)
  })

  it('are not told while beats move them, at the cost of a look when the first was due', async () => {
    deadlines = [clock.monotonicMs() + 100]
    await ends.look()
    for (let beat = 0; beat < 30; beat += 1) {
      await clock.advance(50)
      deadlines = [clock.monotonicMs() + 100]
    }
    expect(endsSeen).toEqual([])
    expect(looks).toBeLessThan(20)
  })

  it('of one that is new are looked for when it is due, unless a look comes sooner', async () => {
    ends.lookIn(1_000)
    ends.lookIn(500)
    ends.lookIn(2_000)
    expect(clock.pendingTimers).toBe(1)
    await clock.advance(505)
    expect(looks).toBe(1)
  })

  it('are looked for again when the server did not answer, and no more when it refused', async () => {
    failure = new UnavailableError('no answer')
    await ends.look()
    await clock.advance(1_005)
    expect(looks).toBe(2)
    failure = new Error('NOPERM')
    await clock.advance(1_005)
    await clock.advance(100_000)
    expect([looks, clock.pendingTimers]).toEqual([3, 0])
  })

  it('are not told after close, and no timer is left', async () => {
    deadlines = [clock.monotonicMs() + 100]
    await ends.look()
    ends.close()
    ends.lookIn(1)
    await clock.advance(1_000)
    expect([endsSeen, looks, clock.pendingTimers]).toEqual([[], 1, 0])
  })
})
