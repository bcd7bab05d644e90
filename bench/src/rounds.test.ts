import { expect, test } from 'vitest'
import { mediansOf, ratiosOf, runInterleaved } from './rounds.ts'

test('the pair takes turns within a round, the rest one each, and orders alternate', async () => {
  const order: string[] = []
  const runner = (name: string) => ({
    name,
    run: async (share: number) => {
      order.push(`${name}:${share}`)
      return share
    },
  })
  const sum = (turns: readonly number[]): number => turns.reduce((total, turn) => total + turn, 0)
  const results = await runInterleaved([runner('ours'), runner('raw'), runner('a'), runner('b')], {
    rounds: 2,
    slices: 2,
    merge: sum,
  })
  expect(order.join(' ')).toBe('ours:0.5 raw:0.5 raw:0.5 ours:0.5 a:1 b:1 raw:0.5 ours:0.5 ours:0.5 raw:0.5 b:1 a:1')
  expect(results.get('ours')).toEqual([1, 1])
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
