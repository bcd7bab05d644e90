import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Random } from '../random.ts'
import { seededRandom } from '../random.ts'
import { contendersInOrder, distanceOf, holdersAmong, placeOf } from './contenders.ts'
import type { Side } from './naming.ts'
import { namingOf } from './naming.ts'

const { exclusive, readWrite } = namingOf('curator', seededRandom(7))

function numbered(sequence: number): string {
  const digits = String(Math.abs(sequence)).padStart(10, '0')
  return sequence < 0 ? `-${digits}` : digits
}

function contender(sequence: number, id = 'x'): string {
  return `_c_${id}-lock-${numbered(sequence)}`
}

function member(sequence: number, side: Side): string {
  return readWrite.prefixOf('x', side) + numbered(sequence)
}

function shuffle(nodes: readonly string[], random: Random): string[] {
  const shuffled: string[] = []
  for (const node of nodes) shuffled.splice(Math.floor(random.next() * (shuffled.length + 1)), 0, node)
  return shuffled
}

function nodesOf(contending: readonly { readonly node: string }[]): string[] {
  return contending.map(({ node }) => node)
}

const start = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 })
const arrivals = fc.array(
  fc.record({ gap: fc.integer({ min: 1, max: 1_000_000 }), side: fc.constantFrom<Side>('alone', 'shared') }),
  { minLength: 1, maxLength: 20 },
)

describe('placeOf', () => {
  it('is first when nobody came before', () => {
    expect(placeOf(contender(3), [contender(5), contender(3), contender(4)], exclusive)).toEqual({ kind: 'first' })
  })

  it('is behind the last of those who came before, and of nobody else', () => {
    const children = [contender(9), contender(2), contender(7), contender(8), contender(4)]
    expect(placeOf(contender(8), children, exclusive)).toEqual({ kind: 'behind', predecessor: contender(7) })
  })

  it('is absent when its node is not listed', () => {
    expect(placeOf(contender(3), [contender(4)], exclusive)).toEqual({ kind: 'absent' })
  })

  it('does not count what is no contender, such as the lock a/b below the lock a', () => {
    const children = ['b', '0', contender(3), '%sessions', '_c_x-lease-0000000001', '0123__lock__0000000001']
    expect(placeOf(contender(3), children, exclusive)).toEqual({ kind: 'first' })
  })

  it('keeps apart who holds alone and who reads and writes, though they stand below one node', () => {
    const children = [contender(1), member(2, 'alone'), contender(3), member(4, 'shared')]
    expect(placeOf(contender(3), children, exclusive)).toEqual({ kind: 'behind', predecessor: contender(1) })
    expect(placeOf(member(2, 'alone'), children, readWrite)).toEqual({ kind: 'first' })
    expect(placeOf(member(4, 'shared'), children, readWrite)).toMatchObject({ predecessor: member(2, 'alone') })
  })

  it('has a writer behind whoever came last, and a reader behind the last writer before it', () => {
    const children = [member(1, 'shared'), member(2, 'alone'), member(3, 'shared'), member(4, 'shared')]
    const writer = member(5, 'alone')
    expect(placeOf(writer, [...children, writer], readWrite)).toMatchObject({ predecessor: member(4, 'shared') })
    expect(placeOf(member(4, 'shared'), children, readWrite)).toMatchObject({ predecessor: member(2, 'alone') })
    expect(placeOf(member(1, 'shared'), children, readWrite)).toEqual({ kind: 'first' })
  })

  it('counts the reader that a writer became as the writer, and neither as behind the other', () => {
    const children = [member(7, 'alone'), member(7, 'shared'), member(8, 'alone')]
    for (const side of ['alone', 'shared'] as const) {
      expect(placeOf(member(7, side), children, readWrite)).toEqual({ kind: 'first' })
    }
    expect(placeOf(member(8, 'alone'), children, readWrite).kind).toBe('behind')
  })

  it('goes on behind the greatest sequence number, where text order would let the newest go first', () => {
    const last = contender(2_147_483_647)
    const next = contender(-2_147_483_648)
    expect(next < last).toBe(true)
    expect(placeOf(next, [next, last], exclusive)).toEqual({ kind: 'behind', predecessor: last })
    expect(placeOf(last, [next, last], exclusive)).toEqual({ kind: 'first' })
  })

  it('queues contenders in the order of their creation, wherever the numbers run over', () => {
    fc.assert(
      fc.property(start, arrivals, fc.integer(), (first, steps, seed) => {
        let sequence = first
        const inOrder = steps.map(({ gap }) => contender((sequence = (sequence + gap) | 0)))
        const shuffled = shuffle(inOrder, seededRandom(seed))
        expect(nodesOf(contendersInOrder(shuffled, exclusive))).toEqual(inOrder)
        for (const [index, node] of inOrder.entries()) {
          const predecessor = inOrder[index - 1]
          const expected = predecessor === undefined ? { kind: 'first' } : { kind: 'behind', predecessor }
          expect(placeOf(node, shuffled, exclusive)).toEqual(expected)
        }
      }),
    )
  })

  it('lets a queue of readers and writers drain: one writer or only readers hold, and whoever goes wakes all who are next', () => {
    fc.assert(
      fc.property(start, arrivals, fc.integer(), (first, steps, seed) => {
        const random = seededRandom(seed)
        let sequence = first
        let standing = steps.map(({ gap, side }) => ({ node: member((sequence = (sequence + gap) | 0), side), side }))
        while (standing.length > 0) {
          const children = shuffle(nodesOf(standing), random)
          const holding = standing.filter(({ node }) => placeOf(node, children, readWrite).kind === 'first')
          expect(nodesOf(holdersAmong(contendersInOrder(children, readWrite)))).toEqual(nodesOf(holding))
          // The first always holds, and beside a writer nobody.
          expect(holding[0]).toBe(standing[0])
          expect(holding.length === 1 || holding.every(({ side }) => side === 'shared')).toBe(true)
          // Whoever goes: who holds then and did not before had watched just that one.
          const gone = standing[Math.floor(random.next() * standing.length)]
          const left = standing.filter(one => one !== gone)
          for (const { node } of left) {
            const before = placeOf(node, children, readWrite)
            if (before.kind === 'first' || placeOf(node, nodesOf(left), readWrite).kind !== 'first') continue
            expect(before).toEqual({ kind: 'behind', predecessor: gone?.node })
          }
          standing = left
        }
      }),
    )
  })
})

describe('distanceOf', () => {
  it('counts from the one to the other, over the end', () => {
    expect(distanceOf(1, 4)).toBe(3)
    expect(distanceOf(4, 1)).toBe(-3)
    expect(distanceOf(2_147_483_647, -2_147_483_648)).toBe(1)
    expect(distanceOf(-2_147_483_648, 2_147_483_647)).toBe(-1)
  })
})
