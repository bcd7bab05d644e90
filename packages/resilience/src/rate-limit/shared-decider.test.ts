import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { LiveValue, RefusedError, UnsupportedError } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
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
let usual: Pick<RateLimitOptions, 'name' | 'backend' | 'instances' | 'clock'>

beforeEach(() => {
  clock = new SimulatedClock()
  const scripted = scriptedBackend(clock)
  rates = scripted.rates
  usual = { name: 'api', backend: scripted.backend, instances: 4, clock }
})

/** How many of `count` calls at once are admitted. */
async function admittedOf(policy: RateLimit, count: number, options: CallOptions = {}): Promise<number> {
  const results = Promise.allSettled(Array.from({ length: count }, () => policy.execute(() => 1, options)))
  await clock.advance(50)
  return (await results).filter(({ status }) => status === 'fulfilled').length
}

async function refusalOf(policy: RateLimit, options: CallOptions = {}): Promise<RejectedError> {
  const refused = policy.execute(() => 'admitted', options).catch((error: unknown) => error)
  await clock.advance(50)
  return (await refused) as RejectedError
}

describe('a rate limit that instances share', () => {
  it('admits together no more than the quota, in one round trip for each call', async () => {
    const instances = [
      rateLimit({ ...usual, limit: 5, periodMs: 60_000 }),
      rateLimit({ ...usual, limit: 5, periodMs: 60_000 }),
    ]
    const admitted = await Promise.all(instances.map(policy => admittedOf(policy, 4)))
    expect(admitted[0]! + admitted[1]!).toBe(5)
    expect(rates.takes).toHaveLength(8)
  })

  it('keeps keys apart, whatever is in them', async () => {
    const policy = rateLimit({
      ...usual,
      limit: 1,
      periodMs: 60_000,
      perKey: ({ key }) => (key === 'odd' ? '\u0000' : key),
    })
    const keys = ['ann', 'x'.repeat(200), `${'x'.repeat(199)}y`, 'ü', 'odd']
    for (const key of keys) expect(await admittedOf(policy, 2, { key })).toBe(1)
    expect(new Set(rates.takes.map(({ key }) => key)).size).toBe(keys.length)
    expect(rates.takes.map(({ key }) => key)).toContain('api/ann')
  })

  it('does not ask again for a key that is over its quota, until it has something', async () => {
    const policy = rateLimit({ ...usual, limit: 20, burst: 1, perKey: true })
    await policy.execute(() => 1, { key: 'hot' })
    for (let count = 0; count < 50; count++) await policy.execute(() => 1, { key: 'hot' }).catch(() => undefined)
    expect(rates.takes).toHaveLength(2)
    expect(policy.describe().state).toMatchObject({ asked: 2, deniedHere: 49, store: 'distributed' })
    await clock.advance(50)
    expect(await admittedOf(policy, 1, { key: 'hot' })).toBe(1)
  })

  it('asks at the latest after 100 ms, for a permit may be given back', async () => {
    const policy = rateLimit({ ...usual, limit: 1, periodMs: 60_000 })
    await policy.execute(() => 1)
    await policy.execute(() => 1).catch(() => undefined)
    await usual.backend!.rates.giveBack('api', { limit: 1, periodMs: 60_000, burst: 1 }, 1)
    await clock.advance(99)
    expect((await refusalOf(policy)).rejection.reason).toBe('rate-limited')
    await clock.advance(1)
    expect(await admittedOf(policy, 1)).toBe(1)
  })

  it('asks for less than what was refused', async () => {
    const policy = rateLimit({ ...usual, limit: 10, periodMs: 60_000 })
    expect(await admittedOf(policy, 1, { cost: 8 })).toBe(1)
    expect(await admittedOf(policy, 1, { cost: 5 })).toBe(0)
    expect(await admittedOf(policy, 1, { cost: 2 })).toBe(1)
    expect((await refusalOf(policy, { cost: 11 })).rejection.retryAfterMs).toBeUndefined()
    expect(rates.takes).toHaveLength(3)
  })

  it('gives the permit back when another policy refuses the call', async () => {
    const shared = rateLimit({ ...usual, limit: 5, periodMs: 60_000 })
    const both = pipeline(shared, rateLimit({ limit: 1, clock, name: 'inner' }))
    for (let count = 0; count < 3; count++) await both.execute(() => 1).catch(() => undefined)
    expect(rates.givenBack).toEqual([
      { key: 'api', count: 1 },
      { key: 'api', count: 1 },
    ])
    expect(rates.out.get('api')).toBe(1)
  })

  it('tells how a quota stands by what the store said last', async () => {
    const policy = rateLimit({ ...usual, limit: 10, burst: 5 })
    expect(policy.quotaOf()).toEqual({ limit: 10, periodMs: 1_000, remaining: 5, resetMs: 0 })
    for (let count = 0; count < 3; count++) await policy.execute(() => 1)
    expect(policy.quotaOf()).toEqual({ limit: 10, periodMs: 1_000, remaining: 2, resetMs: 300 })
    await clock.advance(200)
    expect(policy.quotaOf()).toEqual({ limit: 10, periodMs: 1_000, remaining: 4, resetMs: 100 })
  })

  it('says what the quota is now after a change, and goes on from what was taken', async () => {
    const limit = new LiveValue(10)
    const policy = rateLimit({ ...usual, limit, burst: 10, periodMs: 60_000 })
    expect(await admittedOf(policy, 12)).toBe(10)
    limit.set(20)
    expect(policy.quotaOf().limit).toBe(20)
    expect((await refusalOf(policy)).rejection).toMatchObject({ limit: 20, ruleVersion: 2 })
  })

  it('passes on what is a mistake, and takes it for no outage', async () => {
    rates.weather = { kind: 'down' }
    rates.downWith = new UnsupportedError('No rates here.')
    const policy = rateLimit({ ...usual, limit: 10 })
    await expect(policy.execute(() => 1)).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
    expect(policy.describe().state['store']).toBe('distributed')
  })
})

describe('while the store is away', () => {
  it('goes by its part of the quota, never by that of all', async () => {
    const policy = rateLimit({ ...usual, limit: 40 })
    rates.weather = { kind: 'silent' }
    expect(await admittedOf(policy, 100)).toBe(10)
    expect((await refusalOf(policy)).rejection).toMatchObject({ reason: 'rate-limited', limit: 40 })
    expect(policy.describe().state).toMatchObject({ store: 'local', failures: 100 })
  })

  it('follows the number of instances, and admits one at least', async () => {
    const instances = new LiveValue(2)
    const policy = rateLimit({ ...usual, limit: 20, periodMs: 60_000, instances })
    rates.weather = { kind: 'down' }
    expect(await admittedOf(policy, 6)).toBe(6)
    instances.set(4)
    expect(await admittedOf(policy, 6)).toBe(0)
    const many = rateLimit({ ...usual, limit: 2, periodMs: 60_000, instances: 50 })
    expect(await admittedOf(many, 3)).toBe(1)
  })

  it('admits all that is open, and refuses all that is closed as unavailable, not as over the quota', async () => {
    rates.weather = { kind: 'silent' }
    expect(await admittedOf(rateLimit({ ...usual, limit: 1, whenUnavailable: 'open' }), 20)).toBe(20)
    const closed = rateLimit({ ...usual, limit: 1, whenUnavailable: 'closed' })
    const { rejection } = await refusalOf(closed)
    expect(rejection.reason).toBe('store-unavailable')
    expect(rejection.retryAfterMs).toBeGreaterThan(0)
  })

  it('keeps nobody waiting once one call has found out', async () => {
    const policy = rateLimit({ ...usual, limit: 400 })
    rates.weather = { kind: 'silent' }
    const first = policy.execute(() => clock.monotonicMs())
    await clock.advance(25)
    expect(await first).toBe(1_025)
    const startedAtMs = clock.monotonicMs()
    for (let count = 0; count < 50; count++) expect(await policy.execute(() => clock.monotonicMs())).toBe(startedAtMs)
    expect(rates.takes).toHaveLength(1)
  })

  it('asks again with one probe at a time, at most every 500 ms', async () => {
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'open' })
    rates.weather = { kind: 'silent' }
    for (let ms = 0; ms < 5_000; ms += 10) {
      for (let count = 0; count < 3; count++) void policy.execute(() => 1)
      await clock.advance(10)
    }
    // Those of the first 25 ms, before anybody knew, and then the probes.
    const probes = rates.takes.filter(({ cost }) => cost === 0).length
    expect(rates.takes.length - probes).toBeLessThanOrEqual(9)
    expect(probes).toBeGreaterThanOrEqual(9)
    expect(probes).toBeLessThanOrEqual(14)
  })

  it('lets the store decide again within a second of its return', async () => {
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'open' })
    rates.weather = { kind: 'silent' }
    const pass = async (ms: number): Promise<void> => {
      for (const untilMs = clock.monotonicMs() + ms; clock.monotonicMs() < untilMs;) {
        void policy.execute(() => 1)
        await clock.advance(10)
      }
    }
    await pass(5_000)
    expect(policy.describe().state['store']).toBe('open')
    rates.weather = { kind: 'fair', delayMs: 1 }
    await pass(600)
    expect(policy.describe().state['store']).toBe('distributed')
    const asked = rates.takes.length
    await pass(10)
    expect(rates.takes.length).toBe(asked + 1)
  })

  it('does not go away again for what was sent before it came back', async () => {
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'open', storeTimeoutMs: 1_000 })
    rates.weather = { kind: 'silent' }
    void policy.execute(() => 1)
    await clock.advance(10)
    rates.weather = { kind: 'down' }
    void policy.execute(() => 1)
    await clock.advance(60)
    rates.weather = { kind: 'fair', delayMs: 0 }
    void policy.execute(() => 1)
    await clock.advance(10)
    expect(policy.describe().state['store']).toBe('distributed')
    await clock.advance(2_000)
    expect(policy.describe().state).toMatchObject({ store: 'distributed', failures: 2 })
  })

  it('tells tools when the store goes and when it is back', async () => {
    const heard: unknown[] = []
    const hear = (message: unknown): void => void heard.push(message)
    subscribe('holdfast:resilience.event', hear)
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'open' })
    rates.weather = { kind: 'down' }
    await policy.execute(() => 1)
    await clock.advance(60)
    rates.weather = { kind: 'fair', delayMs: 0 }
    await policy.execute(() => 1)
    await clock.advance(0)
    unsubscribe('holdfast:resilience.event', hear)
    const cause = rates.downWith
    expect(heard).toEqual([
      { event: 'storeLost', policy: 'rateLimit', rule: 'api', cause },
      { event: 'storeBack', policy: 'rateLimit', rule: 'api', awayMs: 60 },
    ])
  })

  it('asks once more where this process stood still, for the answer may lie unread', async () => {
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'closed' })
    rates.weather = { kind: 'silent' }
    const calls = [policy.execute(() => 1), policy.execute(() => 1)]
    await Promise.resolve()
    clock.stall(60)
    rates.weather = { kind: 'fair', delayMs: 1 }
    await clock.advance(1)
    expect(await Promise.all(calls)).toEqual([1, 1])
    expect(policy.describe().state).toMatchObject({ store: 'distributed', failures: 2 })
  })

  it('takes a store for away that is silent once more after that', async () => {
    const policy = rateLimit({ ...usual, limit: 1_000, whenUnavailable: 'closed' })
    rates.weather = { kind: 'silent' }
    const call = policy.execute(() => 1).catch((error: unknown) => error)
    await Promise.resolve()
    clock.stall(60)
    await clock.advance(1)
    clock.stall(60)
    await clock.advance(1)
    expect(((await call) as RejectedError).rejection.reason).toBe('store-unavailable')
    expect(policy.describe().state).toMatchObject({ store: 'closed', failures: 2 })
  })

  it('takes a store that refuses for one that is away', async () => {
    const policy = rateLimit({ ...usual, limit: 4, periodMs: 60_000 })
    rates.weather = { kind: 'down' }
    rates.downWith = new RefusedError('out of memory')
    expect(await admittedOf(policy, 5)).toBe(1)
  })

  it('gives back a local permit locally', async () => {
    const shared = rateLimit({ ...usual, limit: 8, periodMs: 60_000 })
    const both = pipeline(shared, rateLimit({ limit: 1, clock, name: 'inner' }))
    rates.weather = { kind: 'down' }
    for (let count = 0; count < 9; count++) await both.execute(() => 1).catch(() => undefined)
    expect(await admittedOf(shared, 5)).toBe(1)
    expect(rates.givenBack).toEqual([])
  })

  const refused: readonly (readonly [string, object, string])[] = [
    ['no name', { name: undefined }, 'Expected a `name` beside `backend`'],
    ['no number of instances for shares', { instances: undefined }, 'Expected `instances` beside `backend`'],
    ['no time for the store', { storeTimeoutMs: 0 }, '`storeTimeoutMs` to be an integer from 1'],
    ['another word', { whenUnavailable: 'maybe' }, "`whenUnavailable` to be one of 'local', 'open', 'closed'"],
    ['warming up', { warmUp: { durationMs: 100 } }, 'no `warmUp` with a `backend`'],
    ['a window', { algorithm: 'sliding-window' }, 'no `backend` with `algorithm`'],
    ['a short lease', { lease: { leaseMs: 1 } }, 'lease.leaseMs'],
  ]
  it.each(refused)('refuses %s', (_, options, sentence) => {
    expect(() => rateLimit({ ...usual, limit: 1, ...options } as RateLimitOptions)).toThrow(sentence)
  })
})
