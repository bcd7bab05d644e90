import { beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import { SimulatedClock } from '../testing/index.ts'
import { MemoryWorld, memoryBackend } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
})

describe('MemoryWorld', () => {
  it('serves one who waits when the lease ends that was made shorter meanwhile (seen: only at its first end)', async () => {
    const lease = await acquireLease(backend, 'r', { ttlMs: 60_000, renew: false })
    let next: Lease | undefined
    const waiting = acquireLease(memoryBackend({ world }), 'r', {}).then(granted => (next = granted))
    await clock.advance(10)
    await lease.extend(500)
    await clock.advance(499)
    expect(next).toBeUndefined()
    await clock.advance(1)
    expect((await waiting).resource).toBe('r')
  })
})
