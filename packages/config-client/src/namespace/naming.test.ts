import { describe, expect, it } from 'vitest'
import { checkNamespaceName, keyIssues, keyProblem } from './naming.ts'

describe('checkNamespaceName', () => {
  it.each(['checkout', 'order-limits', 'a', 'v2-x9', 'n'.repeat(64)])('takes %j', name => {
    expect(() => checkNamespaceName(name)).not.toThrow()
  })

  it.each([
    '',
    'Checkout',
    'a_b',
    '-a',
    'a-',
    'a--b',
    '9a',
    'a.b',
    'a/b',
    'n'.repeat(65),
    'constructor',
    'prototype',
    '__proto__',
    3,
  ])('refuses %j', name => {
    expect(() => checkNamespaceName(name)).toThrow(
      'Expected the name of a namespace to be lower-case words with dashes',
    )
  })
})

describe('the keys of an application', () => {
  it.each(['timeoutMs', 'a', 'A-b_9', 'k'.repeat(64)])('may be %j', key => {
    expect(keyProblem(key)).toBeUndefined()
  })

  it.each(['', '9a', '_a', '$secret', 'a.b', 'a b', 'é', 'k'.repeat(65), 'constructor', 'prototype', '__proto__'])(
    'may not be %j',
    key => {
      expect(keyProblem(key)).toContain('is not a letter followed by at most 63 letters')
    },
  )

  it('are looked at wherever they stand', () => {
    const issues = keyIssues('checkout', { ok: { 'a.b': [{ '9': 1, fine: null }] }, list: ['a.b'] })
    expect(issues.map(({ namespace, path }) => [namespace, ...path])).toEqual([
      ['checkout', 'ok', 'a.b'],
      ['checkout', 'ok', 'a.b', '0', '9'],
    ])
  })
})
