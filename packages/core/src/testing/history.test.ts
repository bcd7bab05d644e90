import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HistoryEvent, HoldEvent, WriteEvent } from './history.ts'
import { checkHistory, describeViolation } from './history.ts'

function hold(token: number, fromMs: number, toMs: number, resource = 'r'): HoldEvent {
  return { kind: 'hold', resource, holder: `h${token}`, token: BigInt(token), acquiredAtMs: fromMs, validUntilMs: toMs }
}

function write(token: number, outcome: 'accepted' | 'refused', resource = 'r'): WriteEvent {
  return { kind: 'write', resource, token: BigInt(token), outcome }
}

function kinds(events: readonly HistoryEvent[]): readonly string[] {
  return checkHistory(events).map(violation => violation.kind)
}

describe('checkHistory', () => {
  it('finds nothing in a history without events', () => {
    expect(checkHistory([])).toEqual([])
  })

  it('finds nothing when each hold begins after or when the one before ended', () => {
    expect(checkHistory([hold(1, 0, 10), hold(2, 10, 20), hold(3, 25, 30)])).toEqual([])
  })

  it('finds two holds that overlap by a moment', () => {
    const [first, second] = [hold(1, 0, 10), hold(2, 9.5, 20)]
    expect(checkHistory([second, first])).toEqual([{ kind: 'overlap', first, second, overlapMs: 0.5 }])
  })

  it('finds every hold that a long one overlaps, also when short ones came in between', () => {
    expect(kinds([hold(1, 0, 100), hold(2, 10, 20), hold(3, 50, 60), hold(4, 100, 110)])).toEqual([
      'overlap',
      'overlap',
    ])
  })

  it('does not compare holds of different resources', () => {
    expect(
      checkHistory([hold(5, 0, 10, 'a'), hold(1, 0, 10, 'b'), write(5, 'accepted', 'a'), write(1, 'accepted', 'b')]),
    ).toEqual([])
  })

  it('finds a token that a later grant has again', () => {
    expect(kinds([hold(1, 0, 10), hold(1, 10, 20)])).toEqual(['token-not-greater'])
  })

  it('finds a token that went back, and compares those that follow with the greatest', () => {
    expect(kinds([hold(7, 0, 10), hold(2, 10, 20), hold(3, 20, 30), hold(8, 30, 40)])).toEqual([
      'token-not-greater',
      'token-not-greater',
    ])
  })

  it('passes over a hold that was over when it was handed out', () => {
    expect(checkHistory([hold(2, 0, 10), hold(1, 5, 5), hold(3, 10, 20)])).toEqual([])
  })

  it('finds a stale token that was accepted, and not one that was refused', () => {
    const events = [write(1, 'accepted'), write(2, 'accepted'), write(1, 'refused'), write(2, 'accepted')]
    expect(checkHistory(events)).toEqual([])
    expect(kinds([...events, write(1, 'accepted')])).toEqual(['stale-accepted'])
  })

  it('does not take the token of a refused write as seen', () => {
    expect(checkHistory([write(9, 'refused'), write(1, 'accepted')])).toEqual([])
  })

  it('tells each violation in a sentence that names the tokens', () => {
    const events = [hold(4, 0, 10), hold(3, 5, 20), write(4, 'accepted'), write(3, 'accepted')]
    const sentences = checkHistory(events).map(violation => describeViolation(violation))
    expect(sentences).toEqual([
      'the hold of "r" by h3 with the token 3 began 5 ms before the hold of "r" by h4 with the token 4 ended.',
      'the hold of "r" by h3 with the token 3 came after the hold of "r" by h4 with the token 4, and its token is not greater.',
      'A write to "r" with the token 3 was accepted after one with 4.',
    ])
  })
})

/** A correct history: holds follow one another with gaps of 0 or more, tokens grow by 1 or more. */
const correct = fc
  .array(
    fc.record({ gapMs: fc.nat(5), lengthMs: fc.integer({ min: 1, max: 9 }), growth: fc.integer({ min: 1, max: 3 }) }),
    {
      minLength: 2,
      maxLength: 20,
    },
  )
  .map(steps => {
    let atMs = 0
    let token = 0
    return steps.map(({ gapMs, lengthMs, growth }) => {
      const fromMs = atMs + gapMs
      atMs = fromMs + lengthMs
      token += growth
      return hold(token, fromMs, atMs)
    })
  })
const shuffled = correct.chain(holds => fc.shuffledSubarray(holds, { minLength: holds.length }))

describe('checkHistory on generated histories', () => {
  it('finds nothing in a correct one, in whatever order its holds are told', () => {
    fc.assert(
      fc.property(shuffled, order => {
        expect(checkHistory(order)).toEqual([])
      }),
      { seed: 41, numRuns: 200 },
    )
  })

  it('finds an overlap wherever one hold is made to last into the next', () => {
    fc.assert(
      fc.property(correct, fc.nat(), (holds, pick) => {
        const at = pick % (holds.length - 1)
        const next = holds[at + 1]
        const broken = holds.map((one, index) =>
          index === at ? { ...one, validUntilMs: (next?.acquiredAtMs ?? 0) + 0.5 } : one,
        )
        expect(kinds(broken)).toContain('overlap')
      }),
      { seed: 42, numRuns: 200 },
    )
  })

  it('finds a token wherever one is made to repeat or go back', () => {
    fc.assert(
      fc.property(correct, fc.nat(), fc.nat(3), (holds, pick, back) => {
        const at = 1 + (pick % (holds.length - 1))
        const before = holds[at - 1]?.token ?? 0n
        const token = before > BigInt(back) ? before - BigInt(back) : before
        expect(kinds(holds.map((one, index) => (index === at ? { ...one, token } : one)))).toContain(
          'token-not-greater',
        )
      }),
      { seed: 43, numRuns: 200 },
    )
  })

  it('agrees with comparing each pair of holds', () => {
    const any = fc.array(
      fc
        .record({ token: fc.nat(99), fromMs: fc.nat(50), lengthMs: fc.nat(9) })
        .map(one => hold(one.token, one.fromMs, one.fromMs + one.lengthMs)),
      { maxLength: 12 },
    )
    const overlap = (a: HoldEvent, b: HoldEvent): boolean =>
      Math.max(a.acquiredAtMs, b.acquiredAtMs) < Math.min(a.validUntilMs, b.validUntilMs)
    fc.assert(
      fc.property(any, holds => {
        const expected = holds.some((a, at) => holds.some((b, other) => other > at && overlap(a, b)))
        expect(kinds(holds).includes('overlap')).toBe(expected)
      }),
      { seed: 44, numRuns: 500 },
    )
  })
})
