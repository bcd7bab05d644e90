import { expect, test } from 'vitest'
import { expand } from './placement.ts'

test('a list of cores is taken apart, and what is none gives nothing', () => {
  expect(expand('0,2-4\n')).toEqual([0, 2, 3, 4])
  expect(expand('')).toEqual([])
  expect(expand('taskset: failed')).toEqual([])
})
