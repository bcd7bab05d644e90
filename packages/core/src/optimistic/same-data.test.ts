import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sameData } from './same-data.ts'

describe('sameData', () => {
  it('takes two copies of anything for the same, and tells them from another as JSON does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        expect(sameData(structuredClone(one), structuredClone(one))).toBe(true)
        const isOther = JSON.stringify(one) !== JSON.stringify(other)
        expect(isOther && sameData(one, other)).toBe(false)
      }),
    )
  })

  it.each<[string, unknown, unknown]>([
    ['a number', 1, 2],
    ['a number and its text', 1, '1'],
    ['a time', new Date(1), new Date(2)],
    ['a byte', new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    ['so many bytes', new Uint8Array(1), new Uint8Array(2)],
    ['an entry of a map', new Map([[1, { a: 1 }]]), new Map([[1, { a: 2 }]])],
    ['an entry of a set', new Set([1]), new Set([1, 2])],
    ['a key', { a: undefined }, { b: undefined }],
    ['a list and an object', ['x'], { 0: 'x' }],
    ['null and an object', null, {}],
  ])('tells %s', (_what, one, other) => {
    expect(sameData({ deep: [one] }, { deep: [other] })).toBe(false)
    expect(sameData({ deep: [one] }, structuredClone({ deep: [one] }))).toBe(true)
  })

  it('ends where something has itself in it', () => {
    const ring: Record<string, unknown> = { units: 1 }
    ring['self'] = ring
    const other = structuredClone(ring)
    expect(sameData(ring, other)).toBe(true)
    other['units'] = 2
    expect(sameData(ring, other)).toBe(false)
  })
})
