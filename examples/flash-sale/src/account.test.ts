import { expect, test } from 'vitest'
import { Account, stateOf } from './account.ts'
import type { Deed, Fault } from './happening.ts'

type Told = readonly [atMs: number, worker: number, what: Deed | Fault]

function accountOf(...told: readonly Told[]): Account {
  const account = new Account(10, 3)
  for (const [atMs, worker, what] of told) account.add({ ...what, atMs, worker })
  return account
}

const asked = { kind: 'asked' } as const
const granted = (token: bigint): Deed => ({ kind: 'granted', token, guarantee: 'fenced' })
const sold = (token: bigint, left: number): Deed => ({ kind: 'sold', token, left })

test('a hand-off lasts from the write of one worker to the grant of the next that was waiting', () => {
  const account = accountOf(
    [0, 1, asked],
    [1, 2, asked],
    [2, 1, granted(1n)],
    [50, 1, sold(1n, 9)],
    [53, 2, granted(2n)],
  )
  expect(account.handOffsMs).toEqual([3])
  expect(account.holder).toBe(2)
})

test('a grant to somebody who came after the release is no hand-off', () => {
  const account = accountOf(
    [0, 1, asked],
    [2, 1, granted(1n)],
    [50, 1, sold(1n, 9)],
    [90, 2, asked],
    [91, 2, granted(2n)],
  )
  expect(account.handOffsMs).toEqual([])
})

test('the same worker twice is no hand-off', () => {
  const account = accountOf([0, 1, asked], [1, 1, granted(1n)], [5, 1, sold(1n, 9)], [6, 1, asked], [7, 1, granted(2n)])
  expect(account.handOffsMs).toEqual([])
})

test('a lock whose holder was stopped is taken over, and the sleeper knows nothing of it', () => {
  const account = accountOf(
    [0, 1, asked],
    [1, 2, asked],
    [2, 1, granted(1n)],
    [10, 1, { kind: 'stopped' }],
    [1_510, 2, granted(2n)],
    [2_000, 1, { kind: 'continued' }],
  )
  expect(account.takeOversMs).toEqual([1_500])
  expect(account.handOffsMs).toEqual([])
  expect(account.lanes.map(stateOf)).toEqual(['late', 'holding', 'away'])
})

test('a refused write leaves the stock as it was', () => {
  const account = accountOf(
    [0, 1, granted(1n)],
    [1, 2, granted(2n)],
    [2, 2, sold(2n, 9)],
    [3, 1, { kind: 'refused', token: 1n, left: 9 }],
  )
  expect(account).toMatchObject({ left: 9, sold: 1, refused: 1, overwrites: 0 })
})

test('a stale write that was accepted is counted, and changes the stock', () => {
  const account = accountOf([0, 1, granted(1n)], [1, 2, granted(2n)], [2, 2, sold(2n, 4)], [3, 1, sold(1n, 9)])
  expect(account).toMatchObject({ left: 9, sold: 2, refused: 0, overwrites: 1 })
  expect(account.lines.at(-1)?.tone).toBe('damage')
})
