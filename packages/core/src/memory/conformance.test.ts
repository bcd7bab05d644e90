import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { LeaseHarness } from '../testing/index.ts'
import { SimulatedClock, leaseConformance } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

function harness(): LeaseHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  return {
    openBackend: async () => memoryBackend({ world }),
    resource: () => randomUUID(),
    advance: ms => clock.advance(ms),
    stall: ms => clock.stall(ms),
    ttlMs: 5_000,
    slackMs: 0,
    ordering: 'fifo',
    modes: 'all',
    slots: true,
    leftovers: async resource => world.resources().filter(name => name === resource),
    loseData: { kind: 'unsupported', why: 'the data is gone only when its clients are' },
    silence: { kind: 'unsupported', why: 'there is no link' },
    requests: { kind: 'unsupported', why: 'there is no wire' },
  }
}

describe('Leases in memory', () => {
  for (const { promise, name, run } of leaseConformance(harness())) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
