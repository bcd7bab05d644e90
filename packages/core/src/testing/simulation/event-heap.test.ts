import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EventHeap } from './event-heap.ts'
import type { TimedEvent } from './event-heap.ts'

it('gives events back by time, and those of one time in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), times => {
      const heap = new EventHeap<TimedEvent>()
      for (const [order, atMs] of times.entries()) heap.push({ atMs, order })
      const popped: [number, number][] = []
      for (let event = heap.pop(); event !== undefined; event = heap.pop()) popped.push([event.atMs, event.order])
      const sorted = times.map((atMs, order): [number, number] => [atMs, order])
      expect(popped).toEqual(sorted.sort(([a, i], [b, j]) => a - b || i - j))
      expect(heap.first).toBe(undefined)
    }),
  )
})
