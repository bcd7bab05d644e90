import assert from 'node:assert/strict'
import type { RateCallOptions, RateQuota, RateTake } from '../../../ports/rates.ts'
import { RATE_TAKES_MAX } from '../../../ports/rates.ts'
import type { RateCase } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

const TAKE: RateTake = { key: 'k', quota: { limit: 1, periodMs: 1, burst: 5 }, cost: 1 }
const CODE = 'HF_INVALID_ARGUMENT'

const WRONG_QUOTAS: readonly unknown[] = [
  undefined,
  null,
  5,
  ...[0, -1, 1.5, 1_000_000_001, NaN, '5', undefined].map(limit => ({ ...TAKE.quota, limit })),
  ...[0, 0.5, 86_400_001, Infinity].map(periodMs => ({ ...TAKE.quota, periodMs })),
  ...[0, 1.5, 1_000_000_001].map(burst => ({ ...TAKE.quota, burst })),
]

const WRONG_TAKES: readonly unknown[] = [
  ...['', 'x'.repeat(201), 'a\nb', 5, undefined].map(key => ({ ...TAKE, key })),
  ...WRONG_QUOTAS.map(quota => ({ ...TAKE, quota })),
  ...[-1, 0.5, 6, NaN, undefined].map(cost => ({ ...TAKE, cost })),
  ...[0, 2, 0.5, -1].map(least => ({ ...TAKE, least })),
]

/** What is refused before anything is sent. */
export const argumentCases: readonly RateCase[] = [
  {
    promise: 'Q3',
    name: 'What can never work is refused at once, with `HF_INVALID_ARGUMENT`.',
    body: async scene => {
      const { rates } = await scene.client()
      const wrongOptions = [{ timeoutMs: 0 }, { timeoutMs: 60_001 }, { timeoutMs: 1.5 }, { timeout: 5 }]
      const calls: readonly Promise<unknown>[] = [
        ...WRONG_TAKES.map(take => rates.take(take as RateTake)),
        ...WRONG_TAKES.map(take => rates.takeAll([{ ...TAKE, key: 'other' }, take as RateTake])),
        ...[[], [TAKE, TAKE], undefined, TAKE].map(takes => rates.takeAll(takes as RateTake[])),
        rates.takeAll(Array.from({ length: RATE_TAKES_MAX + 1 }, (_, at) => ({ ...TAKE, key: `k${at}` }))),
        ...WRONG_QUOTAS.map(quota => rates.giveBack('k', quota as RateQuota, 1)),
        ...[-1, 0.5, 1_000_000_001].map(count => rates.giveBack('k', TAKE.quota, count)),
        ...wrongOptions.map(options => rates.take(TAKE, options as RateCallOptions)),
        ...wrongOptions.map(options => rates.giveBack('k', TAKE.quota, 1, options as RateCallOptions)),
      ]
      const codes = await Promise.all(calls.map((call, at) => scene.code(call, `call ${at}`)))
      assert.deepEqual([...new Set(codes)], [CODE])
    },
  },
  {
    promise: 'Q6',
    name: 'A closed backend rejects every call with `HF_CLOSED`.',
    body: async scene => {
      const client = await scene.client()
      const take = { key: scene.key(), quota: stillQuota(5), cost: 1 }
      await scene.granted(client, take)
      await scene.within(client.close(), 5_000, 'closing')
      const { rates } = client
      const calls = [() => rates.take(take), () => rates.takeAll([take]), () => rates.giveBack(take.key, take.quota, 1)]
      for (const call of calls) assert.equal(await scene.code(call(), 'a call of a closed backend'), 'HF_CLOSED')
    },
  },
]
