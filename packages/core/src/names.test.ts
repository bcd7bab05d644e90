import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from './errors.ts'
import { checkName, percentEncode, show } from './names.ts'

/** Any character of Unicode; the own one of fast-check takes seconds to set up. */
const codePoint = fc
  .integer({ min: 0, max: 0x10_ff_ff })
  .filter(code => code < 0xd8_00 || code > 0xdf_ff)
  .map(code => String.fromCodePoint(code))

function isName(name: unknown): boolean {
  try {
    checkName('name', name)
    return true
  } catch (error) {
    if (error instanceof InvalidArgumentError) return false
    throw error
  }
}

describe('checkName', () => {
  it.each(['a', 'stock:42', 'a/b/c', '{}', '%', ' ', 'é', '水', '🔒', '\u2028', 'n'.repeat(200), '水'.repeat(66)])(
    'takes %j',
    name => {
      expect(isName(name)).toBe(true)
    },
  )

  it.each([
    '',
    'n'.repeat(201),
    '水'.repeat(67),
    'a\nb',
    '\u0000',
    '\u007f',
    '\u0085',
    '\ud800',
    'a\udc00',
    '🔒\ud83d',
  ])('refuses %j', name => {
    expect(isName(name)).toBe(false)
  })

  it('refuses what is no string', () => {
    for (const wrong of [undefined, null, 5, 5n, {}, ['a'], () => 'a', Symbol.iterator])
      expect(isName(wrong)).toBe(false)
  })

  it('says what it expected and what it got', () => {
    expect(() => checkName('resource', '')).toThrow(
      'Expected `resource` to be a name of 1 to 200 bytes of UTF-8, got "".',
    )
    expect(() => checkName('resource', '水'.repeat(67))).toThrow('got 201 bytes: "水')
    expect(() => checkName('resource', 5)).toThrow('Expected `resource` to be a string, got 5.')
    expect(() => checkName('resource', 'a\nb')).toThrow('to be a name without control characters, got "a\\nb".')
    expect(() => checkName('resource', '\ud800')).toThrow('to be a name without lone surrogates, got')
  })

  it('takes exactly well-formed text of 1 to 200 bytes without control characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint, maxLength: 120 }), name => {
        const bytes = Buffer.byteLength(name)
        const expected = bytes >= 1 && bytes <= 200 && !/\p{Cc}/u.test(name)
        expect(isName(name)).toBe(expected)
      }),
      { seed: 3, numRuns: 500 },
    )
  })
})

describe('percentEncode', () => {
  it('is reversible, and leaves no reserved character but its own percent signs', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoint, maxLength: 60 }), name => {
        const encoded = percentEncode(name, /[{}%/]/g)
        expect(decodeURIComponent(encoded)).toBe(name)
        expect(encoded).not.toMatch(/[{}/]/)
      }),
      { seed: 4, numRuns: 500 },
    )
  })

  it('gives different names different texts, also when one looks like the other encoded', () => {
    expect(percentEncode('a/b', /[%/]/g)).toBe('a%2Fb')
    expect(percentEncode('a%2Fb', /[%/]/g)).toBe('a%252Fb')
  })

  it('writes two digits for every character', () => {
    expect(percentEncode('\t', /[\t]/g)).toBe('%09')
  })
})

describe('show', () => {
  it('is short and on one line, whatever the value', () => {
    expect(['a\n', 'x'.repeat(100), 5n, null, undefined, Number.NaN].map(value => show(value))).toEqual([
      '"a\\n"',
      `"${'x'.repeat(60)}…"`,
      '5n',
      'null',
      'undefined',
      'NaN',
    ])
    expect([() => 1, [1, 2], { a: 1 }, Symbol('s')].map(value => show(value))).toEqual([
      'a function',
      'an array of 2',
      'an object',
      'Symbol(s)',
    ])
  })
  it.each([
    ['redis://u:s3cret@h:6379/2', 'redis://u:***@h:6379/2'],
    ['redis://:s3cret@h', 'redis://:***@h'],
    ['postgres://u:s3/c?r#e:t@x@h/app', 'postgres://u:***@h/app'],
    ['postgres://u@corp.com:s3cret@h/app', 'postgres://u@corp.com:***@h/app'],
    ['see redis://u:s3cret@h', 'see redis://u:***@h'],
    ['redis://u:s3cret@a,redis://u:s3cret@b', 'redis://u:***@b'],
    [`redis://u:s3cret${'x'.repeat(80)}@h`, 'redis://u:***@h'],
    ['postgres://h/app?user=u&password=s3cret&ssl=1', 'postgres://h/app?user=u&password=***&ssl=1'],
    ["host=h password='s3 cret' user=u", 'host=h password=*** user=u'],
  ])('masks the password of %s', (url, shown) => {
    // Seen here: redisBackend(url), with the braces forgotten, put it into the logs.
    expect(show(url)).toBe(JSON.stringify(shown))
  })

  it.each(['redis://h:6379', 'redis://u@h:6379', 'order:7@eu', 'https://h/a@b', 'a@b://c'])(
    'leaves %s alone: there is no password in it',
    text => {
      expect(show(text)).toBe(JSON.stringify(text))
    },
  )

  it('asks for the await that was forgotten', () => {
    const thenable = Object.fromEntries(['then'].map(name => [name, () => {}]))
    expect([Promise.resolve(1), thenable].map(value => show(value))).toEqual([
      'a promise (did you forget await?)',
      'a promise (did you forget await?)',
    ])
  })
})
