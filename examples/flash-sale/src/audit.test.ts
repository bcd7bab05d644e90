import { FencingToken } from '@holdfast/core'
import { expect, test } from 'vitest'
import { audit } from './audit.ts'
import type { Sale } from './sale.ts'

function sale(worker: number, token: number, left: number): Sale {
  return { worker, token: new FencingToken(BigInt(token)), left }
}

test('books in which every sale takes one away are right', () => {
  const sales = [sale(1, 10, 2), sale(2, 11, 1)]
  expect(audit({ stock: 3, books: { left: 1, sales }, tokens: [10n, 11n] })).toEqual({
    sold: 2,
    left: 1,
    oversold: 0,
    areTokensIncreasing: true,
    problems: [],
  })
})

test('a sale that was never counted unbalances the books, though nothing is oversold', () => {
  const { oversold, problems } = audit({
    stock: 3,
    books: { left: 2, sales: [sale(1, 1, 2), sale(2, 2, 2)] },
    tokens: [],
  })
  expect(oversold).toBe(0)
  expect(problems).toEqual(['The books do not balance: 2 sold and 2 left make 4, not 3.'])
})

test('an item that vanished unsold unbalances the books', () => {
  const { problems } = audit({ stock: 3, books: { left: 1, sales: [sale(1, 1, 1)] }, tokens: [1n] })
  expect(problems).toEqual(['The books do not balance: 1 sold and 1 left make 2, not 3.'])
})

test('more sales than stock are oversold by the difference', () => {
  const sales = [sale(1, 1, 1), sale(2, 2, 0), sale(3, 3, 0)]
  const { oversold, problems } = audit({ stock: 2, books: { left: 0, sales }, tokens: [] })
  expect(oversold).toBe(1)
  expect(problems[0]).toBe('1 customer paid for what does not exist: 3 sold of 2.')
})

test('a write under an old token is named, with whose write it undid', () => {
  const sales = [sale(1, 5, 8), sale(2, 6, 7), sale(3, 4, 9), sale(1, 7, 6)]
  const { problems } = audit({ stock: 10, books: { left: 6, sales }, tokens: [4n, 5n, 6n, 7n] })
  expect(problems).toContain('Worker 3 with token 4 wrote 9 left over 7, which worker 2 had written with token 6.')
  expect(problems).toContain('Worker 1 with token 7 wrote 6 left over that: it had read the stock before.')
})

test.each([
  { tokens: [1n, 3n, 2n], problem: 'Token 2 was granted after token 3.' },
  { tokens: [7n, 7n], problem: 'Token 7 was granted after token 7.' },
])('tokens that do not strictly increase are a problem: $problem', ({ tokens, problem }) => {
  const findings = audit({ stock: 0, books: { left: 0, sales: [] }, tokens })
  expect(findings.areTokensIncreasing).toBe(false)
  expect(findings.problems).toEqual([problem])
})

test('no sale at all is right', () => {
  expect(audit({ stock: 5, books: { left: 5, sales: [] }, tokens: [] }).problems).toEqual([])
})

test('books are right exactly when sold and left make the stock, whatever happened in between', () => {
  const numbers = Array.from({ length: 12 }, (_, index) => index)
  for (const stock of numbers) {
    for (const sold of numbers) {
      for (const left of numbers) {
        const sales = Array.from({ length: sold }, (_, index) => sale(1, index + 1, stock - index - 1))
        const { problems, oversold } = audit({ stock, books: { left, sales }, tokens: [] })
        expect(problems.length === 0).toBe(sold + left === stock)
        expect(oversold).toBe(Math.max(0, sold - stock))
      }
    }
  }
})
