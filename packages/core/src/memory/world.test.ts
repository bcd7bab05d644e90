import { describe, expect, it } from 'vitest'
import { systemClock } from '../clock.ts'
import { SimulatedClock } from '../testing/index.ts'
import type { Holding } from './holding.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

describe('MemoryWorld', () => {
  it('goes by the time of the system when it is given no other', async () => {
    const backend = memoryBackend({ world: new MemoryWorld() })
    expect(backend.clock).toBe(systemClock)
    await backend.close()
  })

  it('serves one who waits when a lease ends that was made shorter meanwhile (seen: only at its first end)', async () => {
    const clock = new SimulatedClock()
    const world = new MemoryWorld(clock)
    const claim = { mode: undefined, ttlMs: 60_000, meta: '{}' }
    world.tryGrant('r', { ...claim, requestId: 'one' })
    let next: Holding | undefined
    world.enqueue('r', { ...claim, requestId: 'other' }, holding => (next = holding))
    world.renew('r', 'one', 500)
    await clock.advance(499)
    expect(next).toBeUndefined()
    await clock.advance(1)
    expect(next?.requestId).toBe('other')
    expect(world.release('r', 'other')).toBe(true)
    expect([world.resources(), clock.pendingTimers]).toEqual([[], 0])
  })
})
