import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '@holdfast/core'
import { systemClock } from '@holdfast/core'
import { redisBackend } from '@holdfast/core/redis'
import type { RedisServer } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RejectedError } from '../errors.ts'
import type { RateLimitOptions } from './options.ts'
import type { RateLimit } from './rate-limit.ts'
import { rateLimit } from './rate-limit.ts'
import { rateLimits } from './rate-limits.ts'

const QUOTA = { limit: 400, periodMs: 86_400_000, instances: 4 }
const SHARE = 100
const CALLS = 300
const BACK_WITHIN_MS = 60_000
// Long enough for a busy machine: a healthy store is not to be taken for one that is away, of which each decides by itself.
const STORE_TIMEOUT_MS = 1_000

let server: RedisServer
let backend: Backend
let usual: RateLimitOptions

beforeEach(async () => {
  server = await startRedis()
  backend = redisBackend({ url: server.url })
  await backend.ready()
  usual = { ...QUOTA, name: randomUUID(), backend, storeTimeoutMs: STORE_TIMEOUT_MS }
})

afterEach(async () => {
  await backend.close()
  await server.stop()
})

/** What became of calls, one after the other: how many were admitted, and the reasons of the others. */
async function fateOf(policy: RateLimit, count: number): Promise<Readonly<Record<string, number>>> {
  const fates: Record<string, number> = {}
  for (let index = 0; index < count; index++) {
    const fate = await policy
      .execute(() => 'admitted')
      .catch((error: unknown) => (error as RejectedError).rejection.reason)
    fates[fate] = (fates[fate] ?? 0) + 1
  }
  return fates
}

/** Calls until the store decides again. */
async function untilDistributed(policy: RateLimit): Promise<void> {
  const untilMs = systemClock.monotonicMs() + BACK_WITHIN_MS
  while (stateOf(policy)['store'] !== 'distributed') {
    if (systemClock.monotonicMs() > untilMs) throw new Error(`Not distributed again within ${BACK_WITHIN_MS} ms.`)
    await policy.execute(() => 1).catch(() => undefined)
    await sleep(10)
  }
}

function stateOf(policy: RateLimit): Readonly<Record<string, unknown>> {
  return policy.describe().state
}

const outages = [
  {
    outage: 'frozen',
    begin: () => server.kill('SIGSTOP'),
    end: async () => void process.kill(server.pid as number, 'SIGCONT'),
  },
  { outage: 'killed', begin: () => server.kill('SIGKILL'), end: () => server.restart() },
]

describe.each(outages)('a rate limit whose Redis is $outage', ({ begin, end }) => {
  const declared = [
    { whenUnavailable: 'open', fates: { admitted: CALLS } },
    { whenUnavailable: 'closed', fates: { 'store-unavailable': CALLS } },
    { whenUnavailable: 'local', fates: { admitted: SHARE, 'rate-limited': CALLS - SHARE } },
  ] as const

  it.each(declared)(
    'decides as declared where that is $whenUnavailable, and is back after it',
    async ({ whenUnavailable, fates }) => {
      const policy = rateLimit({ ...usual, whenUnavailable })
      expect(await fateOf(policy, 10)).toEqual({ admitted: 10 })
      await begin()
      expect(await fateOf(policy, CALLS)).toEqual(fates)
      const { store, asked, failures, decidedAway, probes } = stateOf(policy)
      expect(store).toBe(whenUnavailable)
      // One call waited for the store; all others were decided at once, and what was asked beside them was no call's.
      expect(asked).toBe(11)
      // Once more where this process itself stood still meanwhile.
      expect(failures).toBeLessThanOrEqual(2)
      expect(decidedAway).toBe(CALLS)
      expect(probes).toBeLessThan(CALLS / 2)
      await end()
      await untilDistributed(policy)
      const before = stateOf(policy)['asked'] as number
      expect(await fateOf(policy, 5)).toEqual({ admitted: 5 })
      expect(stateOf(policy)['asked']).toBe(before + 5)
    },
  )

  it('decides of many calls in flight as declared, and of leases', async () => {
    const leased = rateLimit({ ...usual, whenUnavailable: 'closed', lease: {} })
    await fateOf(leased, 10)
    await sleep(300)
    await begin()
    const fates = await Promise.all(Array.from({ length: 100 }, () => fateOf(leased, 3)))
    const unavailable = fates.reduce((sum, fate) => sum + (fate['store-unavailable'] ?? 0), 0)
    const held = fates.reduce((sum, fate) => sum + (fate['admitted'] ?? 0), 0)
    expect(unavailable + held).toBe(300)
    expect(unavailable).toBeGreaterThanOrEqual(200)
    expect(stateOf(leased)['failures']).toBeLessThan(3)
    await end()
    await untilDistributed(leased)
  })
})

describe('a rate limit on Redis', () => {
  it('admits no more than the quota, of two instances that hammer it', async () => {
    const other = redisBackend({ url: server.url })
    try {
      const policies = [backend, other].map(each => rateLimit({ ...usual, limit: 50, backend: each }))
      const fates = await Promise.all([0, 1, 0, 1].map(index => fateOf(policies[index] as RateLimit, 40)))
      expect(fates.reduce((sum, fate) => sum + (fate['admitted'] ?? 0), 0)).toBe(50)
    } finally {
      await other.close()
    }
  })

  it('lends batches that together are no more than the quota, and gets the rest back', async () => {
    const policies = [0, 1].map(() => rateLimit({ ...usual, limit: 1_000, lease: {} }))
    const fates = await Promise.all(
      Array.from({ length: 64 }, (_, index) => fateOf(policies[index % 2] as RateLimit, 10)),
    )
    expect(fates.reduce((sum, fate) => sum + (fate['admitted'] ?? 0), 0)).toBe(640)
    for (const policy of policies) policy.close()
    const left = rateLimit({ ...usual, limit: 1_000 })
    await expect
      .poll(async () => (await fateOf(left, 1), left.quotaOf().remaining), { interval: 300 })
      .toBeGreaterThan(300)
    expect(left.quotaOf().remaining).toBeLessThan(360)
  })

  it('takes several quotas or none', async () => {
    const policy = rateLimits({
      name: randomUUID(),
      backend,
      instances: 1,
      storeTimeoutMs: STORE_TIMEOUT_MS,
      rules: { user: { limit: 3, periodMs: 86_400_000, perKey: true }, all: { limit: 5, periodMs: 86_400_000 } },
    })
    const admitted = async (key: string): Promise<number> => {
      const calls = await Promise.allSettled(Array.from({ length: 6 }, () => policy.execute(() => 1, { key })))
      return calls.filter(({ status }) => status === 'fulfilled').length
    }
    expect(await admitted('ann')).toBe(3)
    expect(await admitted('bob')).toBe(2)
    expect(policy.quotaOf('all').remaining).toBe(0)
  })
})
