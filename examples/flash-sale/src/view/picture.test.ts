import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { Account } from '../account.ts'
import type { Deed, Fault } from '../happening.ts'
import { colored, paintFor, uncolored } from './paint.ts'
import type { Frame } from './picture.ts'
import { picture, pictureFits } from './picture.ts'

type Told = readonly [atMs: number, worker: number, what: Deed | Fault]

const STORY: readonly Told[] = [
  [0, 1, { kind: 'asked' }],
  [0, 2, { kind: 'asked' }],
  [0, 3, { kind: 'asked' }],
  [1, 1, { kind: 'granted', token: 101n, guarantee: 'fenced' }],
  [101, 1, { kind: 'sold', token: 101n, left: 3 }],
  [102, 1, { kind: 'asked' }],
  [103, 2, { kind: 'granted', token: 102n, guarantee: 'fenced' }],
  [200, 2, { kind: 'stopped' }],
  [900, 3, { kind: 'granted', token: 103n, guarantee: 'fenced' }],
  [1_000, 3, { kind: 'sold', token: 103n, left: 2 }],
  [1_001, 1, { kind: 'granted', token: 104n, guarantee: 'fenced' }],
  [1_100, 1, { kind: 'killed' }],
  [1_200, 2, { kind: 'continued' }],
  [1_201, 2, { kind: 'refused', token: 102n, left: 2 }],
]

function accountUntil(nowMs: number): Account {
  const account = new Account(4, 3)
  for (const [atMs, worker, what] of STORY) if (atMs <= nowMs) account.add({ ...what, atMs, worker })
  return account
}

function frame(nowMs: number, changes: Partial<Frame> = {}): Frame {
  return { title: 'Flash sale', stock: 4, columns: 80, rows: 24, nowMs, isOver: false, paint: uncolored, ...changes }
}

function lanes(nowMs: number, changes: Partial<Frame> = {}): string[] {
  return picture(accountUntil(nowMs), frame(nowMs, changes))
    .filter(line => line.startsWith(' worker'))
    .map(line => line.trimEnd())
}

test('before the doors open everybody is starting', () => {
  const lines = picture(new Account(4, 3), frame(0))
  expect(lines[2]).toContain('4 of 4 left, 0 sold')
  expect(lines.filter(line => line.endsWith(' starting'))).toHaveLength(3)
})

test('a lane shows by height how much of each tenth of a second the lock was held, and who waits', () => {
  expect(lanes(150).map(lane => lane.slice(15, 19).trimEnd())).toEqual(['█▁', '·▄', '··'])
})

test('a stopped holder keeps the lock until another is given it', () => {
  expect(lanes(850)[1]).toMatch(/▓▓▓▓▓▓▓ +STOPPED with the lock$/)
  expect(lanes(1_050)[1]).toMatch(/▓▓▓▓▓▓▓░░ +STOPPED, lease over$/)
})

test('a refused write and a death are marked', () => {
  const [first, second] = lanes(1_300)
  expect(first).toMatch(/† +KILLED with the lock$/)
  expect(second).toMatch(/✗ +stale write REFUSED$/)
})

test('an accepted stale write is marked as damage, and the stock as oversold', () => {
  const account = accountUntil(1_200)
  account.add({ kind: 'sold', token: 102n, left: 2, worker: 2, atMs: 1_201 })
  for (const left of [1, 0]) account.add({ kind: 'sold', token: 105n, left, worker: 3, atMs: 1_202 })
  const text = picture(account, frame(1_250)).join('\n')
  expect(text).toMatch(/! +stale write ACCEPTED/)
  expect(text).toContain('5 sold of 4: 1 OVERSOLD')
  expect(text).toContain('stale writes accepted: 1')
})

test('what was drawn moves to the left when there is no more room, and does not change', () => {
  const columns = 60
  const [before] = lanes(1_300, { columns })
  const [after] = lanes(3_450, { columns })
  const shown = before?.slice(15, 15 + 14) ?? ''
  const room = columns - 1 - 15 - 22
  // 35 cells have begun since.
  expect(after?.slice(15, 15 + 3)).toBe(shown.slice(35 - room, 35 - room + 3).padEnd(3))
})

test('the last picture shows the whole story in the room there is', () => {
  const [, second] = lanes(9_000, { columns: 60, isOver: true })
  expect(second).toContain('✗')
  expect(picture(accountUntil(9_000), frame(9_000, { isOver: true })).at(-1)).toContain('REFUSED')
})

test('no line is as wide as the terminal, and all together are lower, in color or not', () => {
  for (let columns = 48; columns <= 240; columns += 1) {
    for (const rows of [13, 16, 24, 60]) {
      for (const nowMs of [0, 150, 1_300, 20_000]) {
        expect(pictureFits({ columns, rows }, 3)).toBe(true)
        const paint = columns % 2 === 0 ? colored : uncolored
        const lines = picture(accountUntil(nowMs), frame(nowMs, { columns, rows, paint, isOver: nowMs === 20_000 }))
        expect(lines.length).toBeLessThan(rows)
        for (const line of lines) expect(stripVTControlCharacters(line).length).toBeLessThan(columns)
      }
    }
  }
})

test('a terminal that is too small gets plain lines', () => {
  expect(pictureFits({ columns: 47, rows: 24 }, 3)).toBe(false)
  expect(pictureFits({ columns: 80, rows: 12 }, 3)).toBe(false)
})

test('colors change nothing but the looks', () => {
  const plain = picture(accountUntil(1_300), frame(1_300))
  const painted = picture(accountUntil(1_300), frame(1_300, { paint: colored }))
  expect(painted.map(line => stripVTControlCharacters(line))).toEqual(plain)
  expect(painted).not.toEqual(plain)
})

test('nothing is painted where it is not wanted', () => {
  expect(paintFor({ isTTY: true }, {})).toBe(colored)
  expect(paintFor({ isTTY: true }, { NO_COLOR: '1' })).toBe(uncolored)
  expect(paintFor({ isTTY: true }, { NO_COLOR: '' })).toBe(colored)
  expect(paintFor({ isTTY: true }, { TERM: 'dumb' })).toBe(uncolored)
  expect(paintFor({}, {})).toBe(uncolored)
})
