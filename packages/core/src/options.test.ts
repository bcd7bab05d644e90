import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from './errors.ts'
import { checkBoolean, checkDurationMs, checkGivenKeys, checkKeys, checkSignal } from './options.ts'

describe('checkKeys', () => {
  const known = new Set(['ttlMs', 'waitMs'])

  it('takes nothing, an empty object, and the keys it knows', () => {
    for (const options of [undefined, {}, { ttlMs: 1 }, { ttlMs: undefined }]) {
      expect(() => checkKeys('acquire', options, known)).not.toThrow()
    }
  })

  it('refuses a key that nobody reads, and lists the ones that exist', () => {
    expect(() => checkKeys('acquire', { ttl: 1 }, known)).toThrow(
      'Unknown option `ttl` of acquire; it has `ttlMs`, `waitMs`.',
    )
  })

  it('refuses what is no object', () => {
    for (const options of [null, [], 'x', 5])
      expect(() => checkKeys('acquire', options, known)).toThrow(InvalidArgumentError)
  })

  it('refuses a promise of them, which has no keys and would count as no options at all', () => {
    expect(() => checkKeys('acquire', Promise.resolve({ waitMs: 0 }), known)).toThrow(
      'Expected the options of acquire to be an object, got a promise (did you forget await?).',
    )
  })
})

describe('checkGivenKeys', () => {
  const known = new Set(['url'])

  it('takes an object with keys it knows, and refuses one with others', () => {
    expect(() => checkGivenKeys('open', { url: 'a' }, known)).not.toThrow()
    expect(() => checkGivenKeys('open', { uri: 'a' }, known)).toThrow('Unknown option `uri` of open; it has `url`.')
  })

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['redis://u:s3cret@h', '"redis://u:***@h": pass `{ url }`'],
    [5, '5'],
  ])('refuses %j, and says what it saw', (options, shown) => {
    expect(() => checkGivenKeys('open', options, known)).toThrow(
      `Expected the options of open to be an object, got ${shown}.`,
    )
  })
})

describe('An address in place of options', () => {
  it.each([
    [['connect', 'root'], ': pass `{ connect }`'],
    [['root'], ''],
  ])('of %j is told its option, if there is one', (names, hint) => {
    expect(() => checkKeys('open', 'h:2181', new Set(names))).toThrow(
      `Expected the options of open to be an object, got "h:2181"${hint}.`,
    )
  })
})

describe('checkDurationMs', () => {
  it('takes integers from the least to the greatest', () => {
    for (const value of [1, 5, 10]) expect(() => checkDurationMs('ms', value, { min: 1, max: 10 })).not.toThrow()
  })

  it('refuses everything else, with the range and the value seen', () => {
    for (const value of [0, 11, 1.5, Number.NaN, Infinity, '5', 5n, null, undefined]) {
      expect(() => checkDurationMs('ms', value, { min: 1, max: 10 })).toThrow(InvalidArgumentError)
    }
    expect(() => checkDurationMs('ms', 11, { min: 1, max: 10 })).toThrow(
      'Expected `ms` to be an integer from 1 to 10 (milliseconds), got 11.',
    )
  })
})

describe('checkSignal and checkBoolean', () => {
  it('take what they are for, or nothing', () => {
    expect(() => checkSignal(AbortSignal.abort())).not.toThrow()
    expect(() => checkSignal(undefined)).not.toThrow()
    for (const value of [true, false, undefined]) expect(() => checkBoolean('renew', value)).not.toThrow()
  })

  it('refuse everything else', () => {
    for (const value of [null, {}, { aborted: false }]) expect(() => checkSignal(value)).toThrow(InvalidArgumentError)
    expect(() => checkSignal(new AbortController())).toThrow(
      'Expected `signal` to be an AbortSignal, got an AbortController: pass `controller.signal`.',
    )
    for (const value of [null, 0, 'true'])
      expect(() => checkBoolean('renew', value)).toThrow('`renew` to be true or false')
  })
})
