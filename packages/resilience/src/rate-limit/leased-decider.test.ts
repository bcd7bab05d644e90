import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { CallOptions } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import { pipeline } from '../pipeline.ts'
import type { RateLimitOptions } from './options.ts'
import type { RateLimit } from './rate-limit.ts'
import { rateLimit } from './rate-limit.ts'
import type { ScriptedRates } from './scripted-rates.fixture.ts'
import { scriptedBackend } from './scripted-rates.fixture.ts'

let clock: SimulatedClock
let rates: ScriptedRates
let usual: Pick<RateLimitOptions, 'name' | 'backend' | 'instances' | 'clock' | 'lease'>

beforeEach(() => {
  clock = new SimulatedClock()
  const scripted = scriptedBackend(clock)
  rates = scripted.rates
  usual = { name: 'api', backend: scripted.backend, instances: 4, clock, lease: {} }
})

/** `count` calls one after the other; how many were admitted. */
async function admittedOf(policy: RateLimit, count: number, options: CallOptions = {}): Promise<number> {
  let admitted = 0
  for (let index = 0; index < count; index++) {
    const ended = policy
      .execute(() => 1, options)
      .then(
        () => (admitted += 1),
        () => undefined,
      )
    if (index % 16 === 0) await clock.advance(1)
    await ended
  }
  return admitted
}

describe('a rate limit by leased batches', () => {
  it('asks the store for many calls at once, more as the demand grows', async () => {
    const policy = rateLimit({ ...usual, limit: 100_000 })
    expect(await admittedOf(policy, 5_000)).toBe(5_000)
    expect(rates.takes.length).toBeLessThan(40)
    expect(policy.describe().state).toMatchObject({ store: 'distributed', leases: 1 })
  })

  it('asks once for all that wait', async () => {
    rates.weather = { kind: 'fair', delayMs: 10 }
    const policy = rateLimit({ ...usual, limit: 1_000 })
    const calls = Array.from({ length: 64 }, () => policy.execute(() => 1))
    await clock.advance(25)
    await Promise.all(calls)
    // The first call asks before it knows of the others; the second request is for all of these.
    expect(rates.takes).toHaveLength(2)
  })

  it('refuses who waits for more than a lowered burst, and nobody else', async () => {
    rates.weather = { kind: 'fair', delayMs: 10 }
    const burst = new LiveValue(8)
    const policy = rateLimit({ ...usual, limit: 1_000, burst })
    const ends = [1, 5, 1].map(cost =>
      policy.execute(() => 'in', { cost }).catch((error: unknown) => (error as RejectedError).rejection.reason),
    )
    burst.set(3)
    await clock.advance(50)
    expect(await Promise.all(ends)).toEqual(['in', 'rate-limited', 'in'])
  })

  it('gives back what is not used when it gets old, and forgets the key', async () => {
    const policy = rateLimit({ ...usual, limit: 10_000 })
    await admittedOf(policy, 500)
    expect(policy.describe().state['permitsHeld']).toBeGreaterThan(0)
    await clock.advance(500)
    expect(policy.describe().state).toMatchObject({ permitsHeld: 0, leases: 0 })
    expect(rates.out.get('api')).toBe(500)
    // The store in memory forgets by a timer.
    await clock.advance(5_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('gives all back when it is closed, and decides call by call from then on', async () => {
    const policy = rateLimit({ ...usual, limit: 10_000 })
    await admittedOf(policy, 500)
    policy.close()
    await clock.advance(0)
    expect(rates.out.get('api')).toBe(500)
    const asked = rates.takes.length
    await admittedOf(policy, 3)
    expect(rates.takes.length).toBe(asked + 3)
    await clock.advance(5_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('gives all back when its backend is closed', async () => {
    const policy = rateLimit({ ...usual, limit: 10_000 })
    await admittedOf(policy, 500)
    await usual.backend!.close()
    expect(rates.out.get('api')).toBe(500)
    expect(policy.describe().state['permitsHeld']).toBe(0)
  })

  it('gives back what a refill brings after it was closed', async () => {
    rates.weather = { kind: 'fair', delayMs: 10 }
    const policy = rateLimit({ ...usual, limit: 1_000 })
    const calls = [policy.execute(() => 1), policy.execute(() => 1)]
    policy.close()
    await clock.advance(100)
    await Promise.all(calls)
    expect(rates.out.get('api')).toBe(2)
  })

  it('refuses when the store does, without asking for each call', async () => {
    const policy = rateLimit({ ...usual, limit: 10, periodMs: 60_000 })
    expect(await admittedOf(policy, 200)).toBe(10)
    expect(rates.takes.length).toBeLessThan(30)
    const error = await policy.execute(() => 1).catch((thrown: unknown) => thrown)
    expect((error as RejectedError).rejection).toMatchObject({ reason: 'rate-limited', limit: 10 })
  })

  it('admits calls of differing cost, and in their order', async () => {
    const policy = rateLimit({ ...usual, limit: 100, periodMs: 60_000 })
    expect(await admittedOf(policy, 3, { cost: 30 })).toBe(3)
    expect(await admittedOf(policy, 1, { cost: 11 })).toBe(0)
    expect(await admittedOf(policy, 1, { cost: 10 })).toBe(1)
    expect(await admittedOf(policy, 1, { cost: 101 })).toBe(0)
    expect(await admittedOf(policy, 1, { cost: 0 })).toBe(1)
  })

  it('takes the permit of a call that another policy refuses for the next one', async () => {
    const leased = rateLimit({ ...usual, limit: 100, periodMs: 60_000 })
    const both = pipeline(leased, rateLimit({ limit: 1, clock, name: 'inner' }))
    for (let count = 0; count < 20; count++) await both.execute(() => 1).catch(() => undefined)
    await clock.advance(1_000)
    expect(rates.out.get('api')).toBe(1)
  })

  it('uses what it holds while the store is away, and decides as declared then', async () => {
    const policy = rateLimit({ ...usual, limit: 40, periodMs: 60_000 })
    await admittedOf(policy, 20)
    const held = policy.describe().state['permitsHeld'] as number
    rates.weather = { kind: 'down' }
    expect(await admittedOf(policy, 60)).toBe(held + 10)
    expect(policy.describe().state['store']).toBe('local')
    rates.weather = { kind: 'fair', delayMs: 0 }
    await clock.advance(500)
    await admittedOf(policy, 2)
    expect(policy.describe().state['store']).toBe('distributed')
  })

  it('decides of all that wait at once when the store falls silent', async () => {
    rates.weather = { kind: 'silent' }
    const policy = rateLimit({ ...usual, limit: 40, whenUnavailable: 'closed' })
    const calls = Array.from({ length: 2_000 }, () => policy.execute(() => 1).catch((error: unknown) => error))
    await clock.advance(25)
    for (const error of await Promise.all(calls)) {
      expect((error as RejectedError).rejection.reason).toBe('store-unavailable')
    }
    expect(rates.takes).toHaveLength(1)
  })

  it('decides call by call for keys that it has no room to lease for', async () => {
    rates.weather = { kind: 'fair', delayMs: 10 }
    const policy = rateLimit({ ...usual, limit: 40, perKey: true, keysMax: 1 })
    const calls = ['a', 'b'].map(key => policy.execute(() => 1, { key }))
    await clock.advance(20)
    await Promise.all(calls)
    expect(policy.describe().state).toMatchObject({ crowdedOut: 1, leases: 1 })
    // Once nobody waits for it, the lease makes room.
    const third = policy.execute(() => 1, { key: 'c' })
    await clock.advance(20)
    await third
    expect(policy.describe().state).toMatchObject({ crowdedOut: 1, leases: 1 })
  })

  it('is never over the quota, whatever instances, answers and outages do', async () => {
    const step = fc.record({
      instance: fc.nat(2),
      calls: fc.nat(20),
      cost: fc.integer({ min: 1, max: 3 }),
      afterMs: fc.nat(60),
      weather: fc.constantFrom('fair' as const, 'fair' as const, 'slow' as const, 'silent' as const, 'down' as const),
      closes: fc.nat(25),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
        const time = new SimulatedClock()
        const scripted = scriptedBackend(time)
        const options = { name: 'q', limit: 100, burst: 30, whenUnavailable: 'closed' as const, clock: time }
        const policies = [0, 1, 2].map(() =>
          rateLimit({ ...options, backend: scripted.backend, instances: 3, lease: { leaseMs: 50 } }),
        )
        let admitted = 0
        for (const { instance, calls, cost, afterMs, weather, closes } of steps) {
          if (weather === 'silent' || weather === 'down') scripted.rates.weather = { kind: weather }
          else scripted.rates.weather = { kind: 'fair', delayMs: weather === 'slow' ? 20 : 0 }
          const policy = policies[instance] as RateLimit
          for (let count = 0; count < calls; count++) {
            policy.execute(() => (admitted += cost), { cost }).catch(() => undefined)
          }
          if (closes === 0) policy.close()
          await time.advance(afterMs)
          expect(admitted).toBeLessThanOrEqual(30 + (time.monotonicMs() - 1_000) / 10 + 0.001)
        }
        scripted.rates.weather = { kind: 'fair', delayMs: 0 }
        for (const policy of policies) policy.close()
        // The store's own timer sweeps once a second, what was whole by then.
        await time.advance(3_000)
        expect(time.pendingTimers).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('is a test that can fail: instances that count alone are over it', async () => {
    const policies = [0, 1, 2].map(() => rateLimit({ limit: 100, burst: 30, clock }))
    let admitted = 0
    for (const policy of policies) admitted += await admittedOf(policy, 30)
    expect(admitted).toBeGreaterThan(30 + (clock.monotonicMs() - 1_000) / 10)
  })
})
