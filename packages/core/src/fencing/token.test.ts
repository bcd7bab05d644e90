import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from '../errors.ts'
import { FencingToken } from './token.ts'

const MAX = 2n ** 64n - 1n
const value = fc.bigInt({ min: 0n, max: MAX })

describe('FencingToken', () => {
  it('is 20 digits as text, so that text order is number order', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [first, second] = [new FencingToken(a), new FencingToken(b)]
        expect(first.toString()).toMatch(/^\d{20}$/)
        expect(first.toString() < second.toString()).toBe(a < b)
        expect(first < second).toBe(a < b)
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('is read back from its text, from JSON, and from digits without zeros in front', () => {
    fc.assert(
      fc.property(value, one => {
        const token = new FencingToken(one)
        expect(FencingToken.parse(token.toString()).value).toBe(one)
        expect(FencingToken.parse(JSON.parse(JSON.stringify(token)) as string).value).toBe(one)
        expect(FencingToken.parse(one.toString()).value).toBe(one)
      }),
      { seed: 2, numRuns: 300 },
    )
  })

  it('takes 0 and the greatest number of 64 bits, and nothing beyond them', () => {
    expect(new FencingToken(0n).toString()).toBe('00000000000000000000')
    expect(new FencingToken(MAX).toString()).toBe('18446744073709551615')
    expect(() => new FencingToken(-1n)).toThrow(InvalidArgumentError)
    expect(() => new FencingToken(MAX + 1n)).toThrow('got 18446744073709551616n')
  })

  it('refuses a value that is no bigint', () => {
    for (const wrong of [1, '1', undefined, null]) {
      expect(() => new FencingToken(wrong as unknown as bigint)).toThrow(InvalidArgumentError)
    }
  })

  it.each(['', '-1', '1.5', ' 1', '1 ', '0x10', '1e3', '٣', '000000000000000000001', '18446744073709551616', 'token'])(
    'refuses to read "%s"',
    text => {
      expect(() => FencingToken.parse(text)).toThrow(InvalidArgumentError)
    },
  )

  it('refuses to read what is no text', () => {
    expect(() => FencingToken.parse(5 as unknown as string)).toThrow('got 5')
  })
})
