import assert from 'node:assert/strict'
import { RATE_TAKES_MAX } from '../../../ports/rates.ts'
import type { RateCase } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

/** Several quotas at once. */
export const manyCases: readonly RateCase[] = [
  {
    promise: 'Q4',
    name: 'Of several quotas all are taken where all grant, and each tells of itself.',
    body: async scene => {
      const client = await scene.client()
      const keys = scene.keys(RATE_TAKES_MAX)
      const takes = keys.map((key, index) => ({ key, quota: stillQuota(20 + index), cost: index + 1 }))
      const decisions = await scene.takeAll(client, takes)
      assert.deepEqual(
        decisions.map(decision => [decision.kind, decision.remaining]),
        keys.map(() => ['granted', 19]),
      )
      for (const { key, quota } of takes) assert.equal(await scene.remaining(client, key, quota), 19)
    },
  },
  {
    promise: 'Q4',
    name: 'Where one of several refuses none is taken, and the others tell what would have been.',
    body: async scene => {
      const client = await scene.client()
      const [user, tenant, all] = scene.keys(3) as [string, string, string]
      const quota = stillQuota(5)
      await scene.granted(client, { key: tenant, quota, cost: 4 })
      const takes = [user, tenant, all].map(key => ({ key, quota, cost: 2 }))
      const [first, second, third] = await scene.takeAll(client, takes)
      assert.deepEqual([first?.kind, second?.kind, third?.kind], ['granted', 'refused', 'granted'])
      assert.deepEqual([first?.remaining, second?.remaining, third?.remaining], [3, 1, 3])
      assert.deepEqual(
        [
          await scene.remaining(client, user, quota),
          await scene.remaining(client, tenant, quota),
          await scene.remaining(client, all, quota),
        ],
        [5, 1, 5],
      )
    },
  },
  {
    promise: 'Q4',
    name: 'Those who take the same quotas in other orders at once neither wait for each other for ever nor take too much.',
    body: async scene => {
      const clients = await scene.clients(3)
      const keys = scene.keys(4)
      const quota = stillQuota(60)
      const takesOf = (turn: number) => {
        const turned = [...keys.slice(turn % 4), ...keys.slice(0, turn % 4)]
        return (turn % 2 === 0 ? turned : turned.reverse()).map(key => ({ key, quota, cost: 1 }))
      }
      const all = await Promise.all(
        Array.from({ length: 120 }, (_, turn) => {
          const client = clients[turn % 3]
          return client === undefined ? assert.fail() : scene.takeAll(client, takesOf(turn))
        }),
      )
      const whole = all.filter(decisions => decisions.every(({ kind }) => kind === 'granted'))
      assert.equal(whole.length, 60)
      for (const key of keys) {
        assert.equal(await scene.remaining(clients[0] ?? (await scene.client()), key, quota), 0)
      }
    },
  },
  {
    promise: 'Q4',
    name: 'Parts of several quotas are taken where each has enough.',
    body: async scene => {
      const client = await scene.client()
      const [one, other] = scene.keys(2) as [string, string]
      const decisions = await scene.takeAll(client, [
        { key: one, quota: stillQuota(10), cost: 8, least: 1 },
        { key: other, quota: stillQuota(3), cost: 3, least: 1 },
      ])
      assert.deepEqual(
        decisions.map(decision => decision.kind === 'granted' && decision.granted),
        [8, 3],
      )
      const rest = await scene.takeAll(client, [
        { key: one, quota: stillQuota(10), cost: 8, least: 2 },
        { key: other, quota: stillQuota(4), cost: 4, least: 1 },
      ])
      assert.deepEqual(
        rest.map(decision => decision.kind === 'granted' && decision.granted),
        [2, 1],
      )
    },
  },
]
