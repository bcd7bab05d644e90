import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from '../errors.ts'
import type { AcquireOptions } from './options.ts'
import { ACQUIRE_OPTION_NAMES, checkAcquireOptions, decodeMeta, encodeMeta } from './options.ts'

function refusal(options: object): InvalidArgumentError | undefined {
  try {
    checkAcquireOptions(options as AcquireOptions)
    return undefined
  } catch (error) {
    return error as InvalidArgumentError
  }
}

/** Any character of Unicode; the own one of fast-check takes seconds to set up. */
const codePoint = fc
  .integer({ min: 0, max: 0x10_ff_ff })
  .filter(code => code < 0xd8_00 || code > 0xdf_ff)
  .map(code => String.fromCodePoint(code))

describe('checkAcquireOptions', () => {
  it('takes no options, all options, and the ends of every range', () => {
    expect(refusal({})).toBeUndefined()
    const guard = { raise: async () => {} }
    const { signal } = new AbortController()
    expect(refusal({ ttlMs: 100, waitMs: 0, renew: false, holdMsMax: 1, signal, meta: {}, guard })).toBeUndefined()
    expect(refusal({ ttlMs: 86_400_000, waitMs: 2_147_483_647, holdMsMax: 2_147_483_647 })).toBeUndefined()
    expect(refusal({ lockDelayMs: 0, lockAtLeastForMs: 0 })).toBeUndefined()
    expect(refusal({ lockDelayMs: 3_600_000, lockAtLeastForMs: 86_400_000 })).toBeUndefined()
  })

  it('knows every option by name', () => {
    expect([...ACQUIRE_OPTION_NAMES].sort()).toEqual([
      'guard',
      'holdMsMax',
      'lockAtLeastForMs',
      'lockDelayMs',
      'meta',
      'renew',
      'signal',
      'ttlMs',
      'waitMs',
    ])
  })

  it.each([
    ['ttlMs', 99],
    ['ttlMs', 86_400_001],
    ['ttlMs', 1_000.5],
    ['ttlMs', '1000'],
    ['ttlMs', null],
    ['waitMs', -1],
    ['waitMs', Number.NaN],
    ['waitMs', Infinity],
    ['holdMsMax', 0],
    ['lockDelayMs', -1],
    ['lockDelayMs', 3_600_001],
    ['lockDelayMs', 0.5],
    ['lockAtLeastForMs', -1],
    ['lockAtLeastForMs', 86_400_001],
    ['renew', 'yes'],
    ['renew', 0],
    ['signal', {}],
    ['signal', null],
    ['guard', {}],
    ['guard', null],
    ['ttl', 5_000],
  ])('refuses `%s` of %s, and names it', (name, value) => {
    const error = refusal({ [name]: value })
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect(error?.argument).toBe(name)
    expect(error?.message).toContain(`\`${name}\``)
  })

  it('says in a full sentence what it expected and what it got', () => {
    expect(refusal({ ttlMs: 5 })?.message).toBe(
      'Expected `ttlMs` to be an integer from 100 to 86400000 (milliseconds), got 5.',
    )
    expect(refusal({ guard: { check: async () => {} } })?.message).toBe(
      'Expected `guard` to have a `raise` method, got a fence that only checks: postgresFence needs a `pool` to be a guard.',
    )
    expect(refusal({ ttl: 5 })?.message).toContain('Unknown option `ttl` of acquire; it has `ttlMs`,')
  })

  it('refuses options that are no object', () => {
    for (const options of [null, [], 'fast', 5]) {
      expect(refusal(options as unknown as object)).toBeInstanceOf(InvalidArgumentError)
    }
  })
})

describe('encodeMeta', () => {
  it('says host and process when the caller says nothing', () => {
    expect(decodeMeta(encodeMeta(undefined))).toEqual({ host: expect.any(String) as string, pid: String(process.pid) })
  })

  it('refuses what is no object of strings, too many entries, and too long a text', () => {
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v']))
    const bad = [null, [], 'text', { pid: 5 }, many, { long: 'x'.repeat(1_020) }]
    for (const meta of bad) {
      expect(() => encodeMeta(meta as unknown as Record<string, string>)).toThrow(InvalidArgumentError)
    }
    expect(() => encodeMeta({ pid: 5 } as unknown as Record<string, string>)).toThrow(
      '`meta.pid` to be a string, got 5',
    )
  })

  it('is read back by decodeMeta, whatever the strings are', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ unit: codePoint }), { maxKeys: 8 }), meta => {
        fc.pre(JSON.stringify(meta).length <= 1_024)
        expect({ ...decodeMeta(encodeMeta(meta)) }).toEqual({ ...meta })
      }),
      { seed: 5, numRuns: 200 },
    )
  })
})

describe('decodeMeta', () => {
  it('shows what another library wrote as it stands', () => {
    expect(decodeMeta('10.0.0.7')).toEqual({ data: '10.0.0.7' })
    expect(decodeMeta('[1]')).toEqual({ data: '[1]' })
    expect(decodeMeta('')).toEqual({})
  })
})
