import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { IdempotencyHarness } from '../testing/index.ts'
import { SimulatedClock, idempotencyConformance } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

const clock = new SimulatedClock()
const world = new MemoryWorld(clock)

const harness: IdempotencyHarness = {
  openBackend: async () => memoryBackend({ world }),
  key: () => randomUUID(),
  advance: ms => clock.advance(ms),
  leaseMs: 5_000,
  slackMs: 0,
  leftovers: async key => world.runs.leftovers(key),
  loseData: { kind: 'supported', run: async key => world.runs.lose(key) },
  silence: { kind: 'unsupported', why: 'there is no link' },
  silenceAnswers: { kind: 'unsupported', why: 'there is no link' },
  cut: { kind: 'unsupported', why: 'there is no link' },
  restart: { kind: 'unsupported', why: 'the data is gone only when its clients are' },
}

describe('Idempotency in memory', () => {
  for (const { promise, name, run } of idempotencyConformance(harness)) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
      expect(clock.pendingTimers).toBe(0)
    })
  }
})
