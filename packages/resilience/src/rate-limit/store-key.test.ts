import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { storeKey, storeName } from './store-key.ts'

function nameOf(name: string, key: string | undefined): string {
  return storeKey(storeName(name), key)
}

describe('the name of a key in a store', () => {
  it('is the name and the key as they are, where a store takes them', () => {
    expect(nameOf('api', undefined)).toBe('api')
    expect(nameOf('api', 'acme/ann')).toBe('api/acme/ann')
    expect(nameOf('api/search', 'ann')).toBe('1|api/search/ann')
  })

  it('has a hash in place of a key that a store could not take, and of all where that is too long', () => {
    expect(nameOf('api', 'é')).toMatch(/^api\/[0-9a-f]{64}$/)
    expect(nameOf('é', 'ann')).toMatch(/^[0-9a-f]{64}$/)
    expect(nameOf(`{${'n'.repeat(60)}}`, '/'.repeat(200))).toMatch(/^\{n+\}\/[0-9a-f]{64}$/)
  })

  it('keeps the hash tag of a name and a rule that are as long as they may be', () => {
    const key = storeKey(`{${'n'.repeat(60)}}/${storeName('/'.repeat(60))}`, 'é')
    expect(key.startsWith(`{${'n'.repeat(60)}}/`)).toBe(true)
    expect(key.length).toBeLessThanOrEqual(200)
  })

  it('is that of no other name and key', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '/', '|', '0', '1'), minLength: 1, maxLength: 6 })
    const key = fc.option(text, { nil: undefined })
    fc.assert(
      fc.property(text, key, text, key, (name, of, otherName, otherOf) => {
        fc.pre(name !== otherName || of !== otherOf)
        expect(nameOf(name, of)).not.toBe(nameOf(otherName, otherOf))
      }),
      { numRuns: 5_000 },
    )
  })
})
