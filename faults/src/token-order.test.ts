import { describe, expect, it } from 'vitest'
import type { SeenGrant } from './token-order.ts'
import { tokenOrder } from './token-order.ts'

function grant(token: bigint, askedAtMs: number, acquiredAtMs: number): SeenGrant {
  return { holder: `the holder of ${token}`, token, askedAtMs, acquiredAtMs }
}

const WIPE = { beganAtMs: 10, endedAtMs: 12 }

describe('tokenOrder', () => {
  it('finds nothing where tokens grow', () => {
    expect(tokenOrder([grant(2n, 3, 4), grant(1n, 1, 2)], [])).toEqual({ broken: [], crossed: 0 })
  })

  it('finds a token that is smaller or the same', () => {
    const sentences = tokenOrder([grant(5n, 1, 2), grant(4n, 1, 3), grant(5n, 1, 4)], []).broken
    expect(sentences).toEqual([
      'The token 4 of the holder of 4 came after 5 of the holder of 5.',
      'The token 5 of the holder of 5 came after 5 of the holder of 5.',
    ])
  })

  it('only counts a pair whose order nobody can tell, since a wipe came between question and answer', () => {
    expect(tokenOrder([grant(5n, 9, 13), grant(4n, 8, 14)], [WIPE])).toEqual({ broken: [], crossed: 1 })
  })

  it('finds what was asked for after the greater one was granted, wipe or not', () => {
    expect(tokenOrder([grant(5n, 5, 9), grant(4n, 9, 14)], [WIPE]).broken).toHaveLength(1)
  })

  it('finds one token given twice, wipe or not', () => {
    expect(tokenOrder([grant(5n, 9, 13), grant(5n, 8, 14)], [WIPE]).broken).toHaveLength(1)
  })

  it('finds what no wipe disturbed', () => {
    expect(tokenOrder([grant(5n, 13, 15), grant(4n, 13, 16)], [WIPE]).broken).toHaveLength(1)
  })
})
