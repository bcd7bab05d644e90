import { LiveValue } from '@holdfast/core'
import { SimulatedClock } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { CallOptions } from '../call.ts'
import type { RejectedError } from '../errors.ts'
import { pipeline } from '../pipeline.ts'
import { rateLimit } from './rate-limit.ts'
import type { QuotaRule, RateLimitsOptions } from './rate-limits-options.ts'
import type { RateLimits } from './rate-limits.ts'
import { rateLimits } from './rate-limits.ts'
import type { ScriptedRates } from './scripted-rates.fixture.ts'
import { scriptedBackend } from './scripted-rates.fixture.ts'

let clock: SimulatedClock
let rates: ScriptedRates
let usual: RateLimitsOptions

const RULES: Readonly<Record<string, QuotaRule>> = {
  user: { limit: 4, periodMs: 60_000, perKey: true },
  tenant: { limit: 6, periodMs: 60_000, perKey: ({ key }) => key?.split('/')[0] },
  all: { limit: 20, periodMs: 60_000 },
}

beforeEach(() => {
  clock = new SimulatedClock()
  const scripted = scriptedBackend(clock)
  rates = scripted.rates
  usual = { name: 'api', backend: scripted.backend, rules: RULES, instances: 2, clock }
})

async function admittedOf(policy: RateLimits, count: number, options: CallOptions = {}): Promise<number> {
  let admitted = 0
  for (let index = 0; index < count; index++) {
    const call = policy
      .execute(() => 1, options)
      .then(
        () => (admitted += 1),
        () => undefined,
      )
    await clock.advance(rates.weather.kind === 'silent' ? 25 : 0)
    await call
  }
  return admitted
}

describe('rateLimits', () => {
  it('takes of all quotas or of none, and says which refused', async () => {
    const policy = rateLimits(usual)
    expect(await admittedOf(policy, 6, { key: 'acme/ann' })).toBe(4)
    expect(await admittedOf(policy, 6, { key: 'acme/bob' })).toBe(2)
    expect(policy.quotaOf('user', 'acme/bob').remaining).toBe(2)
    expect(policy.quotaOf('all').remaining).toBe(14)
    const error = await policy.execute(() => 1, { key: 'acme/cid' }).catch((thrown: unknown) => thrown)
    expect((error as RejectedError).rejection).toMatchObject({
      policy: 'rateLimits',
      rule: 'api/tenant',
      reason: 'rate-limited',
      limit: 6,
      key: 'acme',
    })
  })

  it('keeps the keys of one call together for Redis Cluster, however long they are', async () => {
    const policy = rateLimits(usual)
    await policy.execute(() => 1, { key: 'x'.repeat(200) })
    expect(rates.takes.map(({ key }) => key.slice(0, 6))).toEqual(['{api}/', '{api}/', '{api}/'])
  })

  it('does not ask for a key that is over its quota', async () => {
    const policy = rateLimits(usual)
    await admittedOf(policy, 50, { key: 'acme/ann' })
    expect(policy.describe().state).toMatchObject({ asked: 5, deniedHere: 45 })
  })

  it('gives all back when another policy refuses', async () => {
    const limits = rateLimits(usual)
    const both = pipeline(limits, rateLimit({ limit: 1, clock, name: 'inner' }))
    for (let count = 0; count < 3; count++) await both.execute(() => 1, { key: 'a/b' }).catch(() => undefined)
    expect(rates.givenBack).toHaveLength(6)
  })

  it('goes by its part of each, all or none, while the store is away, and comes back', async () => {
    const policy = rateLimits(usual)
    rates.weather = { kind: 'silent' }
    expect(await admittedOf(policy, 6, { key: 'acme/ann' })).toBe(2)
    expect(await admittedOf(policy, 6, { key: 'acme/bob' })).toBe(1)
    expect(policy.describe().state['store']).toBe('local')
    rates.weather = { kind: 'fair', delayMs: 0 }
    await clock.advance(500)
    await admittedOf(policy, 1, { key: 'other/x' })
    await clock.advance(0)
    expect(policy.describe().state['store']).toBe('distributed')
  })

  it('takes no part of a call that another part refuses while the store is away', async () => {
    const rules = {
      user: { limit: 4, periodMs: 60_000, perKey: ({ key }: { key: string | undefined }) => key?.split('/')[1] },
      tenant: { limit: 2, periodMs: 60_000, perKey: ({ key }: { key: string | undefined }) => key?.split('/')[0] },
    }
    const policy = rateLimits({ ...usual, rules })
    rates.weather = { kind: 'down' }
    expect(await admittedOf(policy, 5, { key: 'acme/ann' })).toBe(1)
    expect(await admittedOf(policy, 5, { key: 'other/ann' })).toBe(1)
  })

  it('is open or closed while the store is away, as declared', async () => {
    rates.weather = { kind: 'silent' }
    expect(await admittedOf(rateLimits({ ...usual, whenUnavailable: 'open' }), 30, { key: 'a' })).toBe(30)
    const closed = rateLimits({ ...usual, whenUnavailable: 'closed' })
    const refused = closed.execute(() => 1).catch((error: unknown) => error)
    await clock.advance(25)
    expect(((await refused) as RejectedError).rejection.reason).toBe('store-unavailable')
  })

  it('gives local permits back locally', async () => {
    rates.weather = { kind: 'down' }
    const limits = rateLimits(usual)
    const both = pipeline(limits, rateLimit({ limit: 1, clock, name: 'inner' }))
    for (let count = 0; count < 3; count++) await both.execute(() => 1, { key: 'a/b' }).catch(() => undefined)
    expect(await admittedOf(limits, 3, { key: 'a/b' })).toBe(1)
  })

  it('takes new rules as a whole, and loses no permit of those that stay', async () => {
    const rules = new LiveValue<Readonly<Record<string, QuotaRule>>>(RULES)
    const policy = rateLimits({ ...usual, rules })
    await admittedOf(policy, 4, { key: 'acme/ann' })
    rules.set({ ...RULES, user: { limit: 0, periodMs: 60_000 } })
    expect(policy.describe().ruleRefusal).toContain('`rules.user.limit`')
    rules.set({ tenant: RULES['tenant'] as QuotaRule })
    expect(await admittedOf(policy, 4, { key: 'acme/ann' })).toBe(2)
    expect(() => policy.quotaOf('user')).toThrow('There is no rule "user".')
  })

  it('lets pass what costs nothing, and never what costs more than a burst', async () => {
    const policy = rateLimits(usual)
    expect(await admittedOf(policy, 30, { cost: 0 })).toBe(30)
    expect(await admittedOf(policy, 1, { cost: 5 })).toBe(0)
    expect(rates.takes).toEqual([])
  })

  const refused: readonly (readonly [string, object, string])[] = [
    ['no backend', { backend: undefined }, 'Expected `backend`'],
    ['no rules', { rules: {} }, '1 to 16 quotas, got 0'],
    ['a list', { rules: [] }, '`rules` to be an object'],
    ['a name with braces', { name: '{x}' }, 'without braces, got "{x}"'],
    ['a rule of nothing', { rules: { a: null } }, 'rules.a'],
    ['a key that is text', { rules: { a: { limit: 1, perKey: 'x' } } }, '`rules.a.perKey` to be a function'],
    ['no instances', { instances: undefined }, 'Expected `instances`'],
  ]
  it.each(refused)('refuses %s', (_, options, sentence) => {
    expect(() => rateLimits({ ...usual, ...options } as RateLimitsOptions)).toThrow(sentence)
  })
})
