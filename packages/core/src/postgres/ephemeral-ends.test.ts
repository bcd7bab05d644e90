import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import type { Ends } from './ephemeral-ends.ts'
import { EphemeralEnds } from './ephemeral-ends.ts'

const NOTHING: Ends = { hasEnded: false, nextEndMs: undefined }

/** Answers looks by the script, then with nothing; an Error is thrown. */
function scene(...script: readonly (Ends | Error)[]) {
  const clock = new SimulatedClock({ monotonicMs: 0 })
  const looks: { readonly atMs: number; readonly sinceMs: number }[] = []
  const told: number[] = []
  const ends = new EphemeralEnds({
    clock,
    read: async (_directory, sinceMs) => {
      const answer = script[looks.length] ?? NOTHING
      looks.push({ atMs: clock.monotonicMs(), sinceMs })
      if (answer instanceof Error) throw answer
      return answer
    },
    tell: () => told.push(clock.monotonicMs()),
  })
  return { clock, ends, looks, told }
}

describe('EphemeralEnds', () => {
  it('looks a second after somebody began to hear, and no more where there is nothing', async () => {
    const { clock, ends, looks, told } = scene()
    ends.follow('a')
    await clock.advance(60_000)
    expect(looks.map(({ atMs }) => atMs)).toEqual([1_010])
    expect(told).toEqual([])
  })

  it('looks when the first record ends, and tells only when one has ended', async () => {
    const { clock, ends, looks, told } = scene(
      { hasEnded: false, nextEndMs: 5_000 },
      { hasEnded: false, nextEndMs: 8_000 },
      { hasEnded: true, nextEndMs: undefined },
    )
    ends.follow('a')
    await clock.advance(60_000)
    expect(looks.map(({ atMs }) => atMs)).toEqual([1_010, 6_020, 14_030])
    // Each time asks for all since the one before, so that no end falls between two.
    expect(looks.every(({ atMs, sinceMs }, index) => sinceMs >= atMs - (looks[index - 1]?.atMs ?? 0))).toBe(true)
    expect(told).toEqual([14_030])
  })

  it('looks once a second at most, and for a record that came when that one ends', async () => {
    const { clock, ends, looks } = scene({ hasEnded: true, nextEndMs: 1 }, { hasEnded: true, nextEndMs: 30_000 })
    ends.follow('a')
    ends.follow('a')
    await clock.advance(2_500)
    expect(looks.map(({ atMs }) => atMs)).toEqual([1_010, 2_010])
    ends.expect('a', 5_000)
    ends.expect('a', 50_000)
    await clock.advance(10_000)
    expect(looks.at(-1)?.atMs).toBe(7_510)
  })

  it('tries again when nobody answers, and not once nobody listens', async () => {
    const { clock, ends, looks, told } = scene(new Error('no answer'), { hasEnded: true, nextEndMs: 5_000 })
    ends.follow('a')
    await clock.advance(12_000)
    expect(looks.map(({ atMs, sinceMs }) => [atMs, sinceMs])).toEqual([
      [1_010, 1_020],
      [11_020, 11_030],
    ])
    expect(told).toEqual([11_020])
    ends.unfollow('a')
    ends.expect('a', 1_000)
    expect(clock.pendingTimers).toBe(0)
  })
})
