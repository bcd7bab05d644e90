import type { EphemeralRecord } from '@holdfast/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PeerState } from './peers.ts'
import { decodePeer, encodePeer, isQuorum, Peers } from './peers.ts'

function records(peers: Readonly<Record<string, PeerState>>): ReadonlyMap<string, EphemeralRecord> {
  const entries = Object.entries(peers)
  return new Map(entries.map(([id, peer]) => [id, { id, owner: `owner-${id}`, value: encodePeer(peer) }]))
}

const closed: PeerState = { state: 'closed', opened: 0, openings: 0 }
const open = (opened: number, openings = 1): PeerState => ({ state: 'open', opened, openings })

test('An instance is open for the others from when it opened to when it closed, its half-open time included.', () => {
  const peers = new Peers()
  peers.look(records({ a: closed, b: closed, self: open(1) }), 'self')
  expect([peers.count, peers.open]).toEqual([2, 0])
  peers.look(records({ a: open(1), b: { state: 'half-open', opened: 1, openings: 1 } }), 'self')
  expect(peers.open).toBe(2)
  peers.look(records({ a: { state: 'isolated', opened: 1, openings: 0 }, b: { ...closed, opened: 1 } }), 'self')
  expect(peers.open).toBe(0)
})

test('What was open before this instance came, or before it has seen better, counts for nothing until it opens anew.', () => {
  const peers = new Peers()
  peers.look(records({ a: open(3), b: closed }), 'self')
  expect(peers.open).toBe(0)
  peers.look(records({ a: open(4, 2), b: open(1) }), 'self')
  expect(peers.open).toBe(2)
  peers.outdate()
  expect(peers.open).toBe(0)
  peers.look(records({ a: open(4, 2), b: open(2) }), 'self')
  expect(peers.open).toBe(1)
})

test('It is seen how trials of others ended, also when the half-open state itself was not.', () => {
  const peers = new Peers()
  peers.look(records({ a: open(1), b: closed }), 'self')
  expect(peers.look(records({ a: open(2, 2), b: open(1) }), 'self')).toEqual({ succeeded: false, failedOpenings: 2 })
  expect(peers.look(records({ a: { ...closed, opened: 2 }, b: open(1) }), 'self')).toEqual({
    succeeded: true,
    failedOpenings: undefined,
  })
  expect(peers.look(records({ b: open(1) }), 'self')).toEqual({ succeeded: false, failedOpenings: undefined })
})

test('What cannot be read counts as an instance that is well.', () => {
  const texts = ['', '{', 'null', '5', '{"state":"exploded","opened":1,"openings":1}', '{"state":"open"}']
  for (const text of texts) expect(decodePeer(new TextEncoder().encode(text))).toEqual(closed)
  expect(decodePeer(encodePeer(open(7, 3)))).toEqual(open(7, 3))
})

test('One instance alone is never a quorum; otherwise the ratio of all decides, without rounding it up.', () => {
  expect(isQuorum(1, 1, 0.001)).toBe(false)
  expect(isQuorum(1, 2, 0.5)).toBe(false)
  expect(isQuorum(2, 4, 0.5)).toBe(true)
  expect(isQuorum(2, 5, 0.5)).toBe(false)
  expect(isQuorum(7, 10, 0.7)).toBe(true)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 500 }), fc.integer({ min: 1, max: 100 }), (all, percent) => {
      const least = Math.max(2, Math.ceil((all * percent) / 100))
      expect(isQuorum(least, all, percent / 100)).toBe(true)
      expect(isQuorum(least - 1, all, percent / 100)).toBe(false)
    }),
    { seed: 4 },
  )
})
