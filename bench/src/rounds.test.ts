import { expect, test } from 'vitest'
import { mediansOf, ratiosOf, runInterleaved } from './rounds.ts'

test('everybody runs once a round, and who is first alternates', async () => {
  const order: string[] = []
  const runner = (name: string) => ({ name, run: async () => order.push(name) })
  const results = await runInterleaved([runner('ours'), runner('raw'), runner('a'), runner('b')], 2)
  expect(order.join(' ')).toBe('ours raw a b raw ours b a')
  expect(results.get('ours')).toEqual([1, 6])
})

test('a ratio is taken within its round', () => {
  const results = new Map([
    ['ours', [10, 200]],
    ['raw', [20, 100]],
  ])
  expect(ratiosOf(results, { of: 'ours', to: 'raw' }, value => value)).toEqual([0.5, 2])
})

test('a round without a figure is left out', () => {
  const results = new Map([
    ['ours', [1, NaN, 3]],
    ['raw', [1, 1, 1]],
    ['none', [NaN, NaN, NaN]],
  ])
  expect(ratiosOf(results, { of: 'ours', to: 'raw' }, value => value)).toEqual([1, 3])
  expect(mediansOf(results, value => value).get('ours')).toBe(2)
  expect(mediansOf(results, value => value).has('none')).toBe(false)
})
