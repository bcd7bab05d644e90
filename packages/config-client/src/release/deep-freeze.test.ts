import { describe, expect, it } from 'vitest'
import { Secret } from '../namespace/secret.ts'
import { deepFreeze } from './deep-freeze.ts'

describe('deepFreeze', () => {
  it('freezes plain objects and arrays, all the way down', () => {
    const value = deepFreeze({ a: [{ b: 1 }], c: Object.assign(Object.create(null) as object, { d: {} }) })
    for (const part of [value, value.a, value.a[0], value.c]) expect(Object.isFrozen(part)).toBe(true)
  })

  it('leaves what has a class of its own, and what a secret keeps', () => {
    const inner = { pass: 'p' }
    const value = deepFreeze({
      date: new Date(),
      map: new Map([['a', { b: 1 }]]),
      secret: new Secret(inner),
      url: new URL('a:b'),
    })
    for (const part of [value.date, value.map, value.map.get('a'), inner, value.url]) {
      expect(Object.isFrozen(part)).toBe(false)
    }
  })

  it('looks into what is frozen already', () => {
    const value = deepFreeze(Object.freeze({ inner: { a: 1 } }))
    expect(Object.isFrozen(value.inner)).toBe(true)
  })

  it('ends where a value stands in itself', () => {
    const value: { self?: unknown } = {}
    value.self = value
    expect(deepFreeze(value).self).toBe(value)
  })
})
