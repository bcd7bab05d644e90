import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ReleaseChange } from './diff.ts'
import { diffContents } from './diff.ts'
import { anyObject, reread } from './json.fixture.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'
import { mergePatch } from './merge-patch.ts'
import type { ReleaseContent } from './release.ts'

const encrypted = (data: string): JsonObject => ({ $secret: { keyId: 'k', iv: 'i', data, tag: 't' } })
const of = (namespaces: Record<string, JsonObject>): ReleaseContent => ({ namespaces, options: {} })
const pinned = (number: number, value: JsonObject): ReleaseContent => ({
  namespaces: {},
  options: { 'platform/db#large': { release: { number, hash: `h${number}` }, value } },
})

describe('diffContents', () => {
  it('names each value that was added, removed or changed, by path, sorted', () => {
    const before = of({ checkout: { timeoutMs: 500, old: { x: 1 }, db: { pool: 3, host: 'a' } }, gone: { a: 1 } })
    const after = of({ added: { b: 2 }, checkout: { db: { host: 'a', pool: 4 }, timeoutMs: 500, fresh: [1] } })
    expect(diffContents(before, after)).toEqual([
      { kind: 'added', namespace: 'added', path: [], before: undefined, after: { b: 2 } },
      { kind: 'changed', namespace: 'checkout', path: ['db', 'pool'], before: 3, after: 4 },
      { kind: 'added', namespace: 'checkout', path: ['fresh'], before: undefined, after: [1] },
      { kind: 'removed', namespace: 'checkout', path: ['old'], before: { x: 1 }, after: undefined },
      { kind: 'removed', namespace: 'gone', path: [], before: { a: 1 }, after: undefined },
    ])
  })

  it('takes an array, and what is an object on one side alone, for one value', () => {
    expect(diffContents(of({ n: { a: [1, 2], b: {} } }), of({ n: { a: [1, 3], b: 1 } }))).toEqual([
      { kind: 'changed', namespace: 'n', path: ['a'], before: [1, 2], after: [1, 3] },
      { kind: 'changed', namespace: 'n', path: ['b'], before: {}, after: 1 },
    ])
  })

  it('tells a null from what is missing', () => {
    expect(diffContents(of({ n: { a: null } }), of({ n: {} }))).toEqual([
      { kind: 'removed', namespace: 'n', path: ['a'], before: null, after: undefined },
    ])
  })

  it('takes no release for one that says nothing', () => {
    expect(diffContents(undefined, undefined)).toEqual([])
    expect(diffContents(undefined, of({ n: { a: 1 } })).map(({ kind }) => kind)).toEqual(['added'])
    expect(diffContents(of({ n: { a: 1 } }), undefined).map(({ kind }) => kind)).toEqual(['removed'])
  })

  it('shows that a secret has changed, and never what it is', () => {
    const [before, after] = [of({ n: { key: encrypted('one') } }), of({ n: { key: encrypted('two') } })]
    const hidden = { kind: 'changed', namespace: 'n', path: ['key'], before: '[secret]', after: '[secret]' }
    expect(diffContents(before, after)).toEqual([hidden])
    expect(diffContents(before, before)).toEqual([])
    expect(diffContents(of({ n: { key: 'in plain' } }), after)).toEqual([hidden])
    expect(diffContents(of({ n: { key: { user: 'u' } } }), after)).toEqual([hidden])
    expect(JSON.stringify(diffContents(undefined, of({ n: { deep: [encrypted('one')] } })))).not.toContain('one')
  })

  it('shows what an option says by now, and not that it was pinned anew', () => {
    expect(diffContents(pinned(1, { pool: 3 }), pinned(2, { pool: 4 }))).toEqual([
      { kind: 'changed', namespace: 'platform/db#large', path: ['pool'], before: 3, after: 4 },
    ])
    expect(diffContents(pinned(1, { pool: 3 }), pinned(2, { pool: 3 }))).toEqual([])
  })

  it('is empty for the same content, and put in gives the one after', () => {
    fc.assert(
      fc.property(anyContent, anyContent, (before, after) => {
        expect(diffContents(before, reread(before))).toEqual([])
        const changes = diffContents(before, after)
        expect(reread(applied(before.namespaces as JsonObject, changes))).toEqual(reread(after.namespaces))
        expect(diffContents(before, after).length === 0).toBe(
          JSON.stringify(diffContents(after, before)) === JSON.stringify([]),
        )
      }),
      { seed: 42, numRuns: 500 },
    )
  })

  it('is the merge patch that gives the one after', () => {
    fc.assert(
      fc.property(anyContent, anyContent, (before, after) => {
        const patch = diffContents(before, after).reduce<JsonObject>(
          (whole, { namespace, path, after: value = null }) => withAt(whole, [namespace, ...path], value),
          {},
        )
        expect(reread(mergePatch(before.namespaces as JsonObject, patch))).toEqual(reread(after.namespaces))
      }),
      { seed: 43, numRuns: 500 },
    )
  })
})

const anyContent = fc.dictionary(fc.constantFrom('one', 'two'), anyObject).map(of)

function applied(values: JsonObject, changes: readonly ReleaseChange[]): JsonObject {
  return changes.reduce((before, { namespace, path, after }) => withAt(before, [namespace, ...path], after), values)
}

function withAt(values: JsonObject, [key = '', ...rest]: readonly string[], value: Json | undefined): JsonObject {
  const { [key]: inner, ...others } = values
  if (rest.length > 0) return { ...others, [key]: withAt(isJsonObject(inner) ? inner : {}, rest, value) }
  return value === undefined ? others : { ...others, [key]: value }
}
