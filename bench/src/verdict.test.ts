import { expect, test } from 'vitest'
import type { Row } from './row.ts'
import { judge } from './verdict.ts'

const row = (figures: Partial<Row>): Row => ({
  suite: 'lock',
  name: 'redis/uncontended-1',
  unit: 'ops/s',
  better: 'higher',
  ours: 90,
  peers: { raw: 100 },
  reference: 'raw',
  ratio: 0.9,
  limit: null,
  ...figures,
})

test('a bound on the ratio is reached at its value and missed below', () => {
  expect(judge(row({}), { on: 'ratio', min: 0.9, aim: 0.95 })).toEqual({
    kind: 'reached',
    text: '0.9 (wanted >= 0.9, aim 0.95)',
  })
  expect(judge(row({ ratio: 0.899 }), { on: 'ratio', min: 0.9 }).kind).toBe('missed')
  expect(judge(row({ ratio: null }), { on: 'ratio', min: 0.9 })).toEqual({
    kind: 'missed',
    text: 'none (wanted >= 0.9)',
  })
})

test('a bound on our figure may be an upper one', () => {
  expect(judge(row({ ours: 2.2 }), { on: 'ours', max: 2.2 }).kind).toBe('reached')
  expect(judge(row({ ours: 2.21 }), { on: 'ours', max: 2.2 }).kind).toBe('missed')
})

test('a row without a bound is informative', () => {
  expect(judge(row({}), undefined).kind).toBe('informative')
})
