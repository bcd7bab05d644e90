import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isSameValue } from './same-value.ts'

it('says of JSON what isDeepStrictEqual says', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(isSameValue(a, b)).toBe(isDeepStrictEqual(a, b))
      expect(isSameValue(a, JSON.parse(JSON.stringify(a)))).toBe(isDeepStrictEqual(a, JSON.parse(JSON.stringify(a))))
    }),
    { seed: 42 },
  )
})

it('says of what a schema can make beside JSON what isDeepStrictEqual says', () => {
  const made = () => [
    new Date(5),
    new Map([['a', 1]]),
    new Set([1]),
    /a/,
    undefined,
    NaN,
    0n,
    Object.assign([1], { 2: 2 }),
    { a: undefined },
  ]
  for (const [at, a] of made().entries()) {
    for (const [index, b] of made().entries()) {
      expect([at, index, isSameValue(a, b)]).toEqual([at, index, isDeepStrictEqual(a, b)])
    }
  }
  expect(isSameValue({ a: 1 }, Object.assign(Object.create(null), { a: 1 }))).toBe(false)
  expect(isSameValue([], {})).toBe(false)
  expect(isSameValue({ a: 1 }, { b: 1 })).toBe(false)
})
