import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RecordHarness } from '../testing/index.ts'
import { SimulatedClock, recordConformance } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

function harness(): RecordHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const { directories } = world
  return {
    openBackend: async () => memoryBackend({ world }),
    directory: () => randomUUID(),
    advance: ms => clock.advance(ms),
    ttlMs: 5_000,
    slackMs: 0,
    leftovers: async directory => directories.leftovers(directory),
    loseData: { kind: 'supported', run: async directory => directories.lose(directory) },
    backUp: {
      kind: 'supported',
      run: async directory => {
        const restore = directories.backUp(directory)
        return async () => restore()
      },
    },
    silence: { kind: 'unsupported', why: 'there is no link' },
    cut: { kind: 'unsupported', why: 'there is no link' },
    muffle: { kind: 'unsupported', why: 'there is no link' },
    restart: { kind: 'unsupported', why: 'the data is gone only when its clients are' },
    endSession: { kind: 'unsupported', why: 'there are no sessions' },
  }
}

describe('Records in memory', () => {
  for (const { promise, name, run } of recordConformance(harness())) {
    it(`${promise}: ${name}`, async () => {
      expect(await run()).toBeUndefined()
    })
  }
})
