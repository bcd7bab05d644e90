import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Random } from '../random.ts'
import { seededRandom } from '../random.ts'
import { contenderNames, contendersInOrder, distanceOf, placeOf } from './contenders.ts'

const curator = contenderNames('curator', seededRandom(7))
const kazoo = contenderNames('kazoo', seededRandom(7))

function numbered(sequence: number): string {
  const digits = String(Math.abs(sequence)).padStart(10, '0')
  return sequence < 0 ? `-${digits}` : digits
}

function contender(sequence: number, id = 'x'): string {
  return `_c_${id}-lock-${numbered(sequence)}`
}

function shuffle(nodes: readonly string[], random: Random): string[] {
  const shuffled: string[] = []
  for (const node of nodes) shuffled.splice(Math.floor(random.next() * (shuffled.length + 1)), 0, node)
  return shuffled
}

describe('contenderNames', () => {
  it('makes ids as Curator and kazoo do, each once', () => {
    expect(curator.newRequestId()).toMatch(/^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/)
    expect(kazoo.newRequestId()).toMatch(/^[\da-f]{32}$/)
    expect(new Set(Array.from({ length: 1_000 }, () => curator.newRequestId())).size).toBe(1_000)
  })

  it('names nodes as Curator and kazoo do', () => {
    expect(curator.prefixOf('f47ac10b-58cc-4372-a567-0e02b2c3d479')).toBe(
      '_c_f47ac10b-58cc-4372-a567-0e02b2c3d479-lock-',
    )
    expect(kazoo.prefixOf('f47ac10b58cc4372a5670e02b2c3d479')).toBe('f47ac10b58cc4372a5670e02b2c3d479__lock__')
  })

  it('reads the id back out of a name', () => {
    for (const names of [curator, kazoo]) {
      const id = names.newRequestId()
      expect(names.requestIdOf(`${names.prefixOf(id)}0000000042`)).toBe(id)
      expect(names.requestIdOf(`${names.prefixOf(id)}-2147483648`)).toBe(id)
    }
  })

  it.each([
    ['_c_f47ac10b-58cc-4372-a567-0e02b2c3d479-lock-0000000042', 42],
    ['_c_x-lock-2147483647', 2_147_483_647],
    ['_c_x-lock--2147483648', -2_147_483_648],
    ['lock-0000000007', 7],
    ['b', undefined],
    ['42', undefined],
    ['0000000042', undefined],
    ['_c_x-lock-42', undefined],
    ['_c_x-lease-0000000042', undefined],
    ['0123__lock__0000000042', undefined],
  ])('for Curator %j has the number %j', (node, sequence) => {
    expect(curator.sequenceOf(node)).toBe(sequence)
  })

  it.each([
    ['0123__lock__0000000042', 42],
    ['0123__lock__-2147483648', -2_147_483_648],
    ['0123__rlock__0000000042', undefined],
    ['_c_x-lock-0000000042', undefined],
  ])('for kazoo %j has the number %j', (node, sequence) => {
    expect(kazoo.sequenceOf(node)).toBe(sequence)
  })
})

describe('placeOf', () => {
  it('is first when nobody came before', () => {
    expect(placeOf(contender(3), [contender(5), contender(3), contender(4)], curator)).toEqual({ kind: 'first' })
  })

  it('is behind the last of those who came before, and of nobody else', () => {
    const children = [contender(9), contender(2), contender(7), contender(8), contender(4)]
    expect(placeOf(contender(8), children, curator)).toEqual({ kind: 'behind', predecessor: contender(7) })
  })

  it('is absent when its node is not listed', () => {
    expect(placeOf(contender(3), [contender(4)], curator)).toEqual({ kind: 'absent' })
  })

  it('does not count what is no contender, such as the lock a/b below the lock a', () => {
    const children = ['b', '0', contender(3), '%sessions', '_c_x-lease-0000000001', '0123__lock__0000000001']
    expect(placeOf(contender(3), children, curator)).toEqual({ kind: 'first' })
  })

  it('goes on behind the greatest sequence number, where text order would let the newest go first', () => {
    const last = contender(2_147_483_647)
    const next = contender(-2_147_483_648)
    expect(next < last).toBe(true)
    expect(placeOf(next, [next, last], curator)).toEqual({ kind: 'behind', predecessor: last })
    expect(placeOf(last, [next, last], curator)).toEqual({ kind: 'first' })
  })

  it('queues contenders in the order of their creation, wherever the numbers run over', () => {
    const start = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 })
    const gaps = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(start, gaps, fc.integer(), (first, steps, seed) => {
        const inOrder = steps
          .reduce((sequences, gap) => [...sequences, ((sequences.at(-1) ?? 0) + gap) | 0], [first])
          .map(sequence => contender(sequence))
        const shuffled = shuffle(inOrder, seededRandom(seed))
        expect(contendersInOrder(shuffled, curator)).toEqual(inOrder)
        for (const [index, node] of inOrder.entries()) {
          const predecessor = inOrder[index - 1]
          const expected = predecessor === undefined ? { kind: 'first' } : { kind: 'behind', predecessor }
          expect(placeOf(node, shuffled, curator)).toEqual(expected)
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
