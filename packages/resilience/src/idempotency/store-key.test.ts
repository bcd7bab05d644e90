import fc from 'fast-check'
import { checkName } from '@holdfast/core'
import { describe, expect, it } from 'vitest'
import { checkIdempotencyKey, storeKeyOf } from './store-key.ts'

const scopes = fc.string({ minLength: 1, maxLength: 20 }).filter(text => /^[ -~]+$/.test(text))
const keys = fc.oneof(
  fc.string({ minLength: 1, maxLength: 255 }),
  fc.constantFrom('a', 'a:b', '~', ':', '~a', 'b~', 'x'.repeat(100), 'x'.repeat(101)),
)

describe('storeKeyOf', () => {
  it('names two keys the same only if scope and key are the same', () => {
    fc.assert(
      fc.property(scopes, keys, scopes, keys, (scope, key, otherScope, otherKey) => {
        const isSame = scope === otherScope && key === otherKey
        expect(storeKeyOf(scope, key) === storeKeyOf(otherScope, otherKey)).toBe(isSame)
      }),
    )
  })

  it('is a name that every store takes', () => {
    fc.assert(fc.property(scopes, keys, (scope, key) => checkName('key', storeKeyOf(scope, key))))
    expect(() => checkName('key', storeKeyOf('x'.repeat(90), 'y'.repeat(255)))).not.toThrow()
    expect(() => checkName('key', storeKeyOf('x'.repeat(90), 'y'.repeat(100)))).not.toThrow()
  })

  it('is readable for the keys that most callers make', () => {
    expect(storeKeyOf('charge', '0190d5a4-7b3e-7c5e-9f2a-1b2c3d4e5f60')).toBe(
      'charge:0190d5a4-7b3e-7c5e-9f2a-1b2c3d4e5f60',
    )
  })

  it('cannot be had by a key that looks like the hash of another', () => {
    const hashed = storeKeyOf('charge', 'a key with spaces')
    expect(storeKeyOf('charge', hashed.slice('charge:'.length))).not.toBe(hashed)
  })
})

describe('checkIdempotencyKey', () => {
  it.each([['a'], ['x'.repeat(255)], ['a b'], ['ä'], ['😀']])('takes %j', key => {
    expect(() => checkIdempotencyKey(key)).not.toThrow()
  })

  it.each([[''], ['x'.repeat(256)], ['a\nb'], ['\u007f'], ['a\ud800'], ['\udc00a'], [5], [null]])('refuses %j', key => {
    expect(() => checkIdempotencyKey(key)).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
  })
})
