import fc from 'fast-check'
import { expect, test } from 'vitest'
import { windowOf } from './window.ts'

interface Ended {
  readonly atMs: number
  readonly isFailure: boolean
  readonly isSlow: boolean
}

const ended = fc.record({ afterMs: fc.nat(4_000), isFailure: fc.boolean(), isSlow: fc.boolean() })
const calls = fc.array(ended, { maxLength: 80 }).map(list => {
  let atMs = 123_456
  return list.map(({ afterMs, ...rest }) => ({ ...rest, atMs: (atMs += afterMs) }))
})

function tally(list: readonly Ended[]) {
  return {
    calls: list.length,
    failures: list.filter(({ isFailure }) => isFailure).length,
    slow: list.filter(({ isSlow }) => isSlow).length,
  }
}

test('A count window holds the last calls, whatever came before.', () => {
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 20 }), (list, size) => {
      const window = windowOf({ kind: 'count', size })
      for (const { atMs, isFailure, isSlow } of list) window.record(atMs, isFailure, isSlow)
      expect(window).toMatchObject(tally(list.slice(-size)))
    }),
    { seed: 4 },
  )
})

test('A time window holds the calls of its buckets, however long nobody called.', () => {
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 12 }), fc.nat(30_000), (list, buckets, laterMs) => {
      const durationMs = 10_000
      const bucketMs = durationMs / buckets
      const window = windowOf({ kind: 'time', durationMs, buckets })
      for (const { atMs, isFailure, isSlow } of list) window.record(atMs, isFailure, isSlow)
      const nowMs = (list.length === 0 ? 123_456 : (list[list.length - 1] as Ended).atMs) + laterMs
      window.advance(nowMs)
      const oldest = Math.floor(nowMs / bucketMs) - buckets + 1
      expect(window).toMatchObject(tally(list.filter(({ atMs }) => Math.floor(atMs / bucketMs) >= oldest)))
    }),
    { seed: 4 },
  )
})

test('A window of another size keeps the latest that fit, and no more than that.', () => {
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (list, size, next) => {
      const before = windowOf({ kind: 'count', size })
      for (const { atMs, isFailure, isSlow } of list) before.record(atMs, isFailure, isSlow)
      expect(windowOf({ kind: 'count', size: next }, before)).toMatchObject(tally(list.slice(-Math.min(size, next))))
    }),
    { seed: 4 },
  )
})

test('A window of another length keeps what is not too old for it, and no call for longer than it is long.', () => {
  const before = windowOf({ kind: 'time', durationMs: 10_000, buckets: 10 })
  for (const atMs of [100_500, 104_500, 108_500, 109_999]) before.record(atMs, true, false)
  const shorter = windowOf({ kind: 'time', durationMs: 5_000, buckets: 5 }, before)
  expect(shorter).toMatchObject({ calls: 2, failures: 2 })
  const longer = windowOf({ kind: 'time', durationMs: 60_000, buckets: 6 }, before)
  expect(longer.calls).toBe(4)
  longer.advance(159_999)
  expect(longer.calls).toBe(4)
  longer.advance(160_000)
  expect(longer.calls).toBe(0)
})

test('A window of the other kind begins with nothing.', () => {
  const before = windowOf({ kind: 'count', size: 10 })
  before.record(0, true, true)
  expect(windowOf({ kind: 'time', durationMs: 10_000, buckets: 10 }, before)).toMatchObject({ calls: 0, slow: 0 })
})
