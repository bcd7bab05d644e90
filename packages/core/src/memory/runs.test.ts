import { expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

const DAY_MS = 86_400_000

it('runs whose time is over are dropped while others begin, so that a world of short keys does not grow', async () => {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const { idempotency } = memoryBackend({ world })
  const complete = async (key: string, keepMs: number): Promise<void> => {
    const owner = idempotency.newOwner()
    const begun = await idempotency.begin({ key, fingerprint: 'f', owner, leaseMs: 1_000, onLost: 'rerun', keepMs })
    if (begun.kind !== 'run') throw new Error(`The key is ${begun.kind}.`)
    await idempotency.complete({ key, owner, fence: begun.fence }, { result: new Uint8Array(1), failed: false, keepMs })
  }
  await complete('long', DAY_MS)
  for (let index = 0; index < 2_000; index += 1) {
    await complete(`key-${index}`, 1_000)
    clock.stall(100)
  }
  // Ten live at a time; the sweep is a few rounds behind.
  expect(world.runs.size).toBeLessThan(60)
  expect(world.runs.leftovers('long')).toEqual(['long: done'])
})
