import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyObject, reread } from './json.fixture.ts'
import type { Json, JsonObject } from './json.ts'
import { mergePatch } from './merge-patch.ts'

/** RFC 7396, appendix A, but for the patches that are no objects: original, patch, result. */
const EXAMPLES: readonly (readonly [Json, JsonObject, Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

const encrypted = (data: string): JsonObject => ({ $secret: { keyId: 'k', iv: 'i', data, tag: 't' } })

describe('mergePatch', () => {
  it.each(EXAMPLES)('makes of %j with %j what RFC 7396 says: %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })

  it('takes an encrypted value for one value, on both sides', () => {
    expect(mergePatch({ a: encrypted('x') }, { a: { user: 'u' } })).toEqual({ a: { user: 'u' } })
    expect(mergePatch({ a: { user: 'u' } }, { a: encrypted('x') })).toEqual({ a: encrypted('x') })
    expect(mergePatch({ a: encrypted('x') }, { a: null })).toEqual({})
  })

  it('changes nothing that it is given, and done again changes nothing', () => {
    fc.assert(
      fc.property(anyObject, anyObject, (target, patch) => {
        const [targetBefore, patchBefore] = [reread(target), reread(patch)]
        const merged = mergePatch(target, patch)
        expect(reread(mergePatch(merged, patch))).toEqual(reread(merged))
        expect([reread(target), reread(patch)]).toEqual([targetBefore, patchBefore])
      }),
      { seed: 7396, numRuns: 300 },
    )
  })
})
