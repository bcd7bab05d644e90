import { describe, expect, it } from 'vitest'
import { applyEdits } from './edits.ts'

describe('applyEdits', () => {
  const before = Object.freeze({
    checkout: Object.freeze({ a: 1, b: { c: 2, d: 3 } }),
    limits: Object.freeze({ max: 5 }),
  })

  it('merges a patch, replaces, and removes, in the order of the edits', () => {
    expect(
      applyEdits(before, [
        { kind: 'patch', namespace: 'checkout', value: { a: null, b: { c: 4 } } },
        { kind: 'replace', namespace: 'new', value: { x: 1 } },
        { kind: 'patch', namespace: 'new', value: { y: 2 } },
        { kind: 'remove', namespace: 'limits' },
      ]),
    ).toEqual({ checkout: { b: { c: 4, d: 3 } }, new: { x: 1, y: 2 } })
  })

  it('patches a namespace that is not there as an empty one', () => {
    expect(applyEdits({}, [{ kind: 'patch', namespace: 'n', value: { a: 1, b: null } }])).toEqual({ n: { a: 1 } })
  })

  it('keeps a null that a replace says', () => {
    expect(applyEdits(before, [{ kind: 'replace', namespace: 'limits', value: { max: null } }])['limits']).toEqual({
      max: null,
    })
  })

  it('is no change to remove what is not there, or to say nothing', () => {
    expect(applyEdits(before, [{ kind: 'remove', namespace: 'x' }])).toEqual(before)
    expect(applyEdits(before, [])).toEqual(before)
  })
})
