import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from './canonical-json.ts'
import { anyTree } from './json.fixture.ts'
import type { Json } from './json.ts'
import { isJsonObject } from './json.ts'

/** RFC 8785, appendix B: the bits of a double, and how it is printed. */
const NUMBERS = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
] as const

function doubleOf(bits: string): number {
  return Buffer.from(bits, 'hex').readDoubleBE(0)
}

describe('canonicalJson', () => {
  it.each(NUMBERS)('prints the double %s of RFC 8785, appendix B, as %s', (bits, printed) => {
    expect(canonicalJson(doubleOf(bits))).toBe(printed)
  })

  it('prints the sample of RFC 8785, 3.2.2 and 3.2.3, as the RFC does', () => {
    const sample = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`
    expect(canonicalJson(JSON.parse(sample) as Json)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('puts keys in the order of their UTF-16 code units, as in RFC 8785, 3.2.3', () => {
    const sample = String.raw`{
      "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
    }`
    const values = canonicalJson(JSON.parse(sample) as Json).match(/[A-Z][A-Za-z: ]{2,}/g)
    expect(values).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it.each([
    ['NaN', doubleOf('7fffffffffffffff')],
    ['Infinity', doubleOf('7ff0000000000000')],
    ['a text with a lone surrogate', '\ud83d'],
    ['a text with a lone surrogate', ['a\ude00']],
    ['a text with a lone surrogate', { '\ud83d': 1 }],
    ['undefined', { a: undefined }],
    ['1n', [1n]],
    ['undefined', Array.from({ length: 2 })],
  ])('refuses %s', (seen, value) => {
    expect(() => canonicalJson(value as Json)).toThrow(`Expected JSON, got ${seen}.`)
  })

  it('gives a text that parses to the same value, and is its own canonical text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const canonical = canonicalJson(value as Json)
        expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(canonicalJson(JSON.parse(canonical) as Json)).toBe(canonical)
      }),
      { seed: 8785, numRuns: 500 },
    )
  })

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(anyTree, value => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value))
      }),
      { seed: 8787, numRuns: 500 },
    )
  })
})

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed)
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, reversed(inner)] as const)
  return Object.fromEntries(entries.reverse())
}
