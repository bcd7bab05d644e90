import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MemoryWorld, memoryBackend } from '../memory/index.ts'
import type { BarrierHarness } from '../testing/index.ts'
import { SimulatedClock, barrierConformance } from '../testing/index.ts'
import { recordBarriers } from './record-barriers.ts'

const clock = new SimulatedClock()
const world = new MemoryWorld(clock)

const harness: BarrierHarness = {
  openBackend: async () => memoryBackend({ world }),
  barriersOf: recordBarriers,
  barrier: () => randomUUID(),
  advance: ms => clock.advance(ms),
  ttlMs: 5_000,
  leftovers: async barrier =>
    ['barrier', 'double-barrier'].flatMap(kind => world.directories.leftovers(`${kind}:${barrier}`)),
  silence: { kind: 'unsupported', why: 'there is no link' },
  cut: { kind: 'unsupported', why: 'there is no link' },
}

describe('Barriers of records, in memory', () => {
  for (const { promise, name, run } of barrierConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
      expect(clock.pendingTimers).toBe(0)
    })
  }
})
