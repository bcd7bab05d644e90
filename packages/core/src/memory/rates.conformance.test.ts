import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RateHarness } from '../testing/index.ts'
import { SimulatedClock, rateConformance } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

const ONE_PROCESS = { kind: 'unsupported', why: 'there is no server, and no link' } as const

function harness(): RateHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  return {
    openBackend: async () => memoryBackend({ world }),
    key: () => randomUUID(),
    advance: ms => clock.advance(ms),
    slackMs: 0,
    leftovers: async key => world.rates.leftovers(key),
    openAhead: { kind: 'unsupported', why: 'the clock is the world’s' },
    setBack: { kind: 'unsupported', why: 'it goes by a monotonic clock' },
    stop: ONE_PROCESS,
    silence: ONE_PROCESS,
    cut: ONE_PROCESS,
    restart: ONE_PROCESS,
    forgetScripts: ONE_PROCESS,
    openForbidden: ONE_PROCESS,
  }
}

describe('Rates in memory', () => {
  for (const { promise, name, run } of rateConformance(harness())) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
