import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it } from 'vitest'
import { rateLimit } from './rate-limit.ts'
import type { RateLimitOptions } from './options.ts'
import { rateLimits } from './rate-limits.ts'
import { scriptedBackend } from './scripted-rates.fixture.ts'

type Usual = Required<Pick<RateLimitOptions, 'name' | 'backend' | 'instances' | 'storeTimeoutMs' | 'clock'>>

const LIMITS = {
  distributed: (usual: Usual) => rateLimit({ ...usual, limit: 10 }),
  'distributed, with a wait for permits': (usual: Usual) => rateLimit({ ...usual, limit: 10, waitMs: 100 }),
  leased: (usual: Usual) => rateLimit({ ...usual, limit: 10, lease: {} }),
  'several at once': (usual: Usual) => rateLimits({ ...usual, rules: { user: { limit: 10 }, all: { limit: 100 } } }),
}

describe.each(Object.entries(LIMITS))(
  'a call of a limit, %s, that is aborted while the store is asked',
  (_name, make) => {
    it('ends at once with the reason, and its permit goes back when it comes', async () => {
      const clock = new SimulatedClock()
      const { backend, rates } = scriptedBackend(clock)
      rates.weather = { kind: 'fair', delayMs: 5_000 }
      const policy = make({ name: 'api', backend, instances: 1, storeTimeoutMs: 30_000, clock })
      const controller = new AbortController()
      const ended = policy
        .execute(() => 'in', { signal: controller.signal })
        .catch((error: unknown) => [(error as Error).message, clock.monotonicMs()])
      await clock.advance(10)
      controller.abort(new Error('gone'))
      expect(await ended).toEqual(['gone', 1_010])
      await clock.advance(20_000)
      expect([...rates.out.values()].every(count => count === 0)).toBe(true)
      expect(rates.out.size).toBeGreaterThan(0)
      expect(policy.describe().admitted).toBe(0)
    })
  },
)
