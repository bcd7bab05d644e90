import { expect, test } from 'vitest'
import { jainIndex, median, quantile } from './statistics.ts'

test('the median of an even count is the mean of the two in the middle', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([3])).toBe(3)
  expect(median([])).toBeNaN()
})

test('a quantile lies between the closest ranks', () => {
  expect(quantile([10, 20, 30], 0.25)).toBe(15)
  expect(quantile([10, 20, 30], 1)).toBe(30)
})

test('Jain is 1 for equal shares and 1/n for one who takes all', () => {
  expect(jainIndex([5, 5, 5, 5])).toBe(1)
  expect(jainIndex([20, 0, 0, 0])).toBe(0.25)
})
