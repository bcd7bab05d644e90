import { describe, expect, it } from 'vitest'
import { headerKeyOf } from './http-key.ts'

describe('headerKeyOf', () => {
  it.each([
    ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['  "a b"  ', 'a b'],
    [String.raw`"a \"b\" \\c"`, String.raw`a "b" \c`],
    ['"a";v=1', 'a'],
    ['"a, b"', 'a, b'],
    ['"'.concat('x'.repeat(255), '"'), 'x'.repeat(255)],
  ])('reads %s', (header, key) => {
    expect(headerKeyOf(header)).toEqual({ kind: 'key', key })
    expect(headerKeyOf([header])).toEqual({ kind: 'key', key })
  })

  it.each([
    ['""'],
    [''],
    ['"a'],
    ['a"'],
    ['a b'],
    ['a, b'],
    ['"a", "b"'],
    ['"a" b'],
    [String.raw`"a\b"`],
    ['"ä"'],
    ['ä'],
    ['"'.concat('x'.repeat(256), '"')],
    ['x'.repeat(256)],
  ])('refuses %s', header => {
    expect(headerKeyOf(header)).toMatchObject({ kind: 'malformed' })
  })

  it('refuses two of them, and sees that there is none', () => {
    expect(headerKeyOf(['a', 'a'])).toMatchObject({ kind: 'malformed' })
    for (const none of [undefined, null, []]) expect(headerKeyOf(none)).toEqual({ kind: 'missing' })
  })
})
