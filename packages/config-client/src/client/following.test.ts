import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace, openConfig } from '../index.ts'
import { ScopeFixture } from './scope.fixture.ts'

const checkout = defineNamespace('checkout', { schema: z.object({ timeoutMs: z.number().default(500) }) })
const scope = { app: 'shop', env: 'test' }

describe('A configuration that follows its store', () => {
  it('opens with what is published, and sees what is published next', async () => {
    const clock = new SimulatedClock()
    const world = new MemoryWorld(clock)
    const backend = memoryBackend({ world })
    const store = new ScopeFixture(memoryBackend({ world }), scope)
    await store.publish({ checkout: { timeoutMs: 1 } })
    const config = await openConfig({ backend, ...scope, namespaces: [checkout] })
    expect(config.get(checkout).timeoutMs).toBe(1)
    await store.publish({ checkout: { timeoutMs: 2 } })
    await clock.advance(100)
    expect(config.get(checkout).timeoutMs).toBe(2)
    expect(config.status()).toMatchObject({ state: 'current', detail: 'Release 2 of the store is in use.' })
    await config.close()
    await backend.close()
    expect(clock.pendingTimers).toBe(0)
  })
})
