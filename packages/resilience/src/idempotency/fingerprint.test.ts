import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, fingerprintOf } from './fingerprint.ts'

/** The same value, with the members of every object in another order. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reordered(member)]),
  )
}

const json = fc.jsonValue({ maxDepth: 5 })

describe('canonicalJson', () => {
  it('says the same, whatever the order of members', () => {
    fc.assert(
      fc.property(json, value => {
        expect(canonicalJson(value)).toBe(canonicalJson(reordered(value)))
      }),
    )
  })

  it('says what JSON says, in another order at most', () => {
    fc.assert(
      fc.property(json, value => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('says of two values the same only if they are the same', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const isSame = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
        expect(canonicalJson(one) === canonicalJson(other)).toBe(isSame)
      }),
    )
  })

  it.each([
    [{ b: 1, a: 2 }, '{"a":2,"b":1}'],
    [{ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5 }, '{"\\r":2,"1":4,"€":1,"😀":5,"\ufb33":3}'],
    [[1e30, 4.5, 2e-3, 1e-27, -0], '[1e+30,4.5,0.002,1e-27,0]'],
    [{ a: undefined, b: [undefined] }, '{"b":[null]}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [Uint8Array.of(1, 255), '"01ff"'],
  ])('says %j as %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text)
  })

  it.each([
    ['a bigint', 1n],
    ['a number that is not finite', { a: NaN }],
    ['a cycle', cycle()],
    ['a cycle of many ways', tangle()],
  ])('refuses %s', (_what, value) => {
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
  })
})

it('a fingerprint is a short text, the same for the same request, and that of nothing is one of its own', () => {
  expect(fingerprintOf({ a: 1, b: 2 })).toBe(fingerprintOf({ b: 2, a: 1 }))
  expect(fingerprintOf({ a: 1 })).toMatch(/^[\w-]{43}$/)
  expect(new Set([fingerprintOf(undefined), fingerprintOf(null), fingerprintOf('')]).size).toBe(3)
})

/** Each of 30 refers to all: as records do that know their parents and their children. */
function tangle(): unknown {
  const all: Record<string, unknown>[] = Array.from({ length: 30 }, () => ({}))
  for (const one of all) one['all'] = all
  return all
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, member]) => [name, sorted(member)] as const)
  // As pairs: an object would put names that look like numbers first.
  return { members: entries.sort(([one], [other]) => (one < other ? -1 : 1)) }
}

function cycle(): unknown {
  const self: Record<string, unknown> = {}
  self['self'] = self
  return self
}
