import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { pipeline } from '../pipeline.ts'
import type { RejectedError } from '../errors.ts'
import type { CallOptions } from '../call.ts'
import type { RateLimitOptions } from './options.ts'
import type { RateLimit } from './rate-limit.ts'
import { rateLimit } from './rate-limit.ts'

let clock: SimulatedClock

beforeEach(() => {
  clock = new SimulatedClock()
})

/** How many of `count` calls are admitted now. */
async function admittedOf(policy: RateLimit, count: number, options: CallOptions = {}): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: count }, () => policy.execute(() => 1, options)))
  return results.filter(({ status }) => status === 'fulfilled').length
}

async function refusalOf(policy: RateLimit, options: CallOptions = {}): Promise<RejectedError> {
  return (await policy.execute(() => 'admitted', options).catch((error: unknown) => error)) as RejectedError
}

describe('rateLimit', () => {
  it('admits a burst and then the rate, and says when to come again', async () => {
    const policy = rateLimit({ limit: 10, burst: 4, clock, name: 'api' })
    expect(await admittedOf(policy, 6)).toBe(4)
    const { code, rejection } = await refusalOf(policy)
    expect(code).toBe('HF_REJECTED')
    expect(rejection).toEqual({
      policy: 'rateLimit',
      rule: 'api',
      ruleVersion: 1,
      reason: 'rate-limited',
      retryAfterMs: 100,
      limit: 10,
      periodMs: 1_000,
      key: undefined,
    })
    await clock.advance(100)
    expect(await admittedOf(policy, 3)).toBe(1)
    expect(policy.describe()).toMatchObject({ admitted: 5, refused: 5 })
  })

  it('counts each key by itself, and calls without one together', async () => {
    const policy = rateLimit({ limit: 2, perKey: true, clock })
    expect(await admittedOf(policy, 3, { key: 'ann' })).toBe(2)
    expect(await admittedOf(policy, 3, { key: 'bob' })).toBe(2)
    expect(await admittedOf(policy, 3)).toBe(2)
    expect((await refusalOf(policy, { key: 'bob' })).rejection.key).toBe('bob')
    expect(policy.describe().state).toMatchObject({ keys: 2, evictions: 0 })
  })

  it('counts by what a function says of the call, and without a key where it throws', async () => {
    const policy = rateLimit({ limit: 2, perKey: ({ key }) => (key as string).split('/')[0], clock })
    expect(await admittedOf(policy, 2, { key: 'acme/ann' })).toBe(2)
    expect(await admittedOf(policy, 2, { key: 'acme/bob' })).toBe(0)
    expect(await admittedOf(policy, 3)).toBe(2)
  })

  it('gives keys quotas of their own', async () => {
    const overrides = { 'product:42': { limit: 1 }, 'product:7': { limit: 6, periodMs: 60_000, burst: 5 } }
    const policy = rateLimit({ limit: 3, perKey: true, overrides, clock })
    expect(await admittedOf(policy, 9, { key: 'product:42' })).toBe(1)
    expect(await admittedOf(policy, 9, { key: 'product:7' })).toBe(5)
    expect(await admittedOf(policy, 9, { key: 'product:8' })).toBe(3)
    expect((await refusalOf(policy, { key: 'product:7' })).rejection).toMatchObject({ limit: 6, periodMs: 60_000 })
  })

  it('charges what a call costs; one that costs nothing passes, one that costs more than the burst never does', async () => {
    const policy = rateLimit({ limit: 10, clock })
    expect(await admittedOf(policy, 3, { cost: 4 })).toBe(2)
    expect(await admittedOf(policy, 3, { cost: 0 })).toBe(3)
    expect((await refusalOf(policy, { cost: 11 })).rejection.retryAfterMs).toBeUndefined()
  })

  it('takes no permit for a call that another policy refuses', async () => {
    const outer = rateLimit({ limit: 5, clock, name: 'outer' })
    const inner = rateLimit({ limit: 1, clock, name: 'inner' })
    const both = pipeline(outer, inner)
    for (let count = 0; count < 3; count++) await both.execute(() => 1).catch(() => undefined)
    expect(outer.quotaOf().remaining).toBe(4)
  })

  it('gives the permit back in the window of the slice it came from', async () => {
    const outer = rateLimit({ limit: 5, algorithm: 'sliding-window', clock, name: 'outer' })
    const both = pipeline(outer, rateLimit({ limit: 1, clock, name: 'inner' }))
    for (let count = 0; count < 3; count++) await both.execute(() => 1).catch(() => undefined)
    expect(outer.quotaOf()).toEqual({ limit: 5, periodMs: 1_000, remaining: 4, resetMs: 1_100 })
  })

  it('never lets more than the limit into any window with the sliding window', async () => {
    const policy = rateLimit({ limit: 5, periodMs: 1_000, algorithm: 'sliding-window', clock })
    await clock.advance(990)
    expect(await admittedOf(policy, 9)).toBe(5)
    await clock.advance(999)
    expect(await admittedOf(policy, 9)).toBe(0)
    await clock.advance(101)
    expect(await admittedOf(policy, 9)).toBe(5)
  })

  it('tells how a quota stands, for each key', async () => {
    const policy = rateLimit({ limit: 10, burst: 5, perKey: true, clock })
    await admittedOf(policy, 3, { key: 'ann' })
    expect(policy.quotaOf('ann')).toEqual({ limit: 10, periodMs: 1_000, remaining: 2, resetMs: 300 })
    expect(policy.quotaOf('bob')).toEqual({ limit: 10, periodMs: 1_000, remaining: 5, resetMs: 0 })
    await clock.advance(250)
    expect(policy.quotaOf('ann')).toMatchObject({ remaining: 4, resetMs: 50 })
  })

  it('loses no permit and grants none twice when its limit changes', async () => {
    const limit = new LiveValue(10)
    const policy = rateLimit({ limit, burst: 10, clock })
    expect(await admittedOf(policy, 6)).toBe(6)
    limit.set(100)
    expect(await admittedOf(policy, 9)).toBe(4)
    await clock.advance(20)
    expect(await admittedOf(policy, 9)).toBe(2)
    limit.set(0)
    expect(policy.describe().ruleRefusal).toContain('`limit` to be an integer from 1')
    await clock.advance(20)
    expect(await admittedOf(policy, 9)).toBe(2)
    expect((await refusalOf(policy)).rejection).toMatchObject({ limit: 100, ruleVersion: 2 })
  })

  it('refuses a change of what cannot change', () => {
    const options = new LiveValue<RateLimitOptions>({ limit: 10, clock })
    const policy = rateLimit(options)
    options.set({ limit: 20, clock, algorithm: 'sliding-window' })
    expect(policy.describe().ruleRefusal).toBe(
      'Expected `algorithm` of rateLimit to stay as it was given, got "sliding-window".',
    )
    options.set({ limit: 20, clock })
    expect(policy.quotaOf().limit).toBe(20)
    policy.close()
  })

  it('only counts in shadow, and never lets a call wait there', async () => {
    const policy = rateLimit({ limit: 1, waitMs: 5_000, mode: 'shadow', clock })
    expect(await admittedOf(policy, 4)).toBe(4)
    expect(policy.describe()).toMatchObject({ admitted: 1, wouldRefuse: 3 })
  })

  it('starts slowly when it is to warm up', async () => {
    const cold = rateLimit({ limit: 90, warmUp: { durationMs: 2_000 }, clock })
    const admitted = await admittedOf(cold, 100)
    expect(admitted).toBeGreaterThanOrEqual(30)
    expect(admitted).toBeLessThanOrEqual(50)
  })

  const refused: readonly (readonly [string, object, string])[] = [
    ['no limit', {}, '`limit` to be an integer from 1 to 1000000000, got undefined'],
    ['half a permit', { limit: 1.5 }, '`limit` to be an integer'],
    ['an unknown option', { limit: 1, key: true }, 'Unknown option `key` of rateLimit'],
    ['a period of nothing', { limit: 1, periodMs: 0 }, '`periodMs` to be an integer from 1'],
    ['overrides without keys', { limit: 1, overrides: { a: { limit: 1 } } }, 'no `overrides` without `perKey`'],
    ['a bad override', { limit: 1, perKey: true, overrides: { a: { limit: 0 } } }, 'overrides["a"].limit'],
    ['an override of nothing', { limit: 1, perKey: true, overrides: { a: null } }, 'overrides["a"]'],
    ['overrides that are a list', { limit: 1, perKey: true, overrides: [] }, '`overrides` to be an object'],
    ['a burst of a window', { limit: 1, algorithm: 'sliding-window', burst: 2 }, 'no `burst` with'],
    [
      'periods that differ in windows',
      { limit: 1, perKey: true, algorithm: 'sliding-window', overrides: { a: { limit: 1, periodMs: 5 } } },
      'nothing but a `limit`',
    ],
    ['another algorithm', { limit: 1, algorithm: 'leaky' }, "`algorithm` to be one of 'gcra'"],
    ['a key that is text', { limit: 1, perKey: 'user' }, '`perKey` to be a function'],
    ['a cold factor of one', { limit: 1, warmUp: { durationMs: 100, coldFactor: 1 } }, 'warmUp.coldFactor'],
    ['a share without a store', { limit: 1, instances: 3 }, 'no `instances` without a `backend`'],
    ['leases without a store', { limit: 1, lease: {} }, 'no `lease` without a `backend`'],
    ['a backend that is none', { limit: 1, backend: {} }, '`backend` to be a backend, got an object'],
  ]
  it.each(refused)('refuses %s', (_, options, sentence) => {
    expect(() => rateLimit(options as RateLimitOptions)).toThrow(sentence)
  })
})
