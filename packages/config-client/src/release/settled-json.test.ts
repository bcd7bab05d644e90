import { describe, expect, it } from 'vitest'
import type { Json } from './json.ts'
import { settledJson } from './settled-json.ts'

const parsed = (text: string): Json => JSON.parse(text) as Json
const settled = (text: string, known?: Json): Json | undefined => settledJson(parsed(text), known)

describe('What was parsed', () => {
  it('is what it was, and frozen all the way down', () => {
    const value = settled('{"a":[{"b":null},true,1.5,"x"]}') as { readonly a: readonly unknown[] }
    expect(value).toEqual({ a: [{ b: null }, true, 1.5, 'x'] })
    for (const part of [value, value.a, value.a[0]]) expect(Object.isFrozen(part)).toBe(true)
  })

  it('is the known object where it says the same, as a whole and in part', () => {
    const known = settled('{"list":["x",{"y":1}],"object":{"n":1,"m":{}},"number":1}') as Readonly<Record<string, Json>>
    expect(settled('{"list":["x",{"y":1}],"object":{"n":1,"m":{}},"number":1}', known)).toBe(known)
    const next = settled('{"list":["x",{"y":1}],"object":{"n":2,"m":{}},"number":1}', known) as typeof known
    expect(next).not.toBe(known)
    expect(next['list']).toBe(known['list'])
    expect(next['object']).toEqual({ n: 2, m: {} })
    expect((next['object'] as typeof known)['m']).toBe((known['object'] as typeof known)['m'])
    expect(known['object']).toEqual({ n: 1, m: {} })
  })

  it.each([
    ['a key less', '{"a":1,"b":2}', '{"a":1}'],
    ['a key more', '{"a":1}', '{"a":1,"b":2}'],
    ['another key', '{"a":1}', '{"b":1}'],
    ['a list that is longer', '{"a":[1]}', '{"a":[1,2]}'],
    ['a list that is shorter', '{"a":[1,2]}', '{"a":[1]}'],
    ['a list in the place of an object', '{"a":{}}', '{"a":[]}'],
    ['an object in the place of a list', '{"a":[]}', '{"a":{}}'],
    ['null in the place of an object', '{"a":{}}', '{"a":null}'],
    ['a text in the place of a number', '{"a":1}', '{"a":"1"}'],
    ['-0 in the place of 0', '{"a":0}', '{"a":-0}'],
  ])('is another object, and says what was parsed, with %s', (_, before, after) => {
    const known = settled(before)
    const value = settled(after, known)
    expect(value).not.toBe(known)
    expect(value).toEqual(parsed(after))
    expect(known).toEqual(parsed(before))
  })

  it.each([
    ['a lone surrogate', String.raw`{"a":["\ud800"]}`],
    ['a lone surrogate in a key', String.raw`{"a":{"\ud800":1}}`],
    ['the key __proto__', '{"a":{"__proto__":{"b":1}}}'],
    ['the key constructor', '{"a":{"constructor":1}}'],
    ['a number that is infinite', '{"a":1e999}'],
    ['33 levels', `{"a":${'['.repeat(32)}${']'.repeat(32)}}`],
  ])('is nothing with %s, whatever is known', (_, text) => {
    expect(settled(text)).toBeUndefined()
    expect(settled(text, settled('{"a":{"b":1}}'))).toBeUndefined()
  })

  it('may be 32 levels deep', () => {
    expect(settled(`{"a":${'['.repeat(31)}${']'.repeat(31)}}`)).toBeDefined()
  })
})
