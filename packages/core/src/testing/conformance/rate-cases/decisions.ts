import assert from 'node:assert/strict'
import type { RateCase } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

const TOP = 1_000_000_000

/** What one client is told. */
export const decisionCases: readonly RateCase[] = [
  {
    promise: 'Q3',
    name: 'A take tells what is left, and when all is back.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 1, periodMs: 1_000_000, burst: 5 }]
      const first = await scene.granted(client, { key, quota, cost: 2 })
      assert.deepEqual(first, { kind: 'granted', granted: 2, remaining: 3, resetMs: 2_000_000 })
      const second = await scene.granted(client, { key, quota, cost: 3 })
      assert.deepEqual([second.granted, second.remaining], [3, 0])
      assert.ok(second.resetMs > 4_900_000 && second.resetMs <= 5_000_000)
    },
  },
  {
    promise: 'Q3',
    name: 'Takes that are refused change nothing, however many.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 1, periodMs: 100_000, burst: 3 }]
      await scene.granted(client, { key, quota, cost: 2 })
      const first = await scene.refused(client, { key, quota, cost: 2 })
      for (let at = 0; at < 20; at += 1) {
        const { remaining, retryAfterMs } = await scene.refused(client, { key, quota, cost: 2 })
        assert.equal(remaining, 1)
        assert.ok(retryAfterMs <= first.retryAfterMs)
      }
      await scene.granted(client, { key, quota, cost: 1 })
    },
  },
  {
    promise: 'Q3',
    name: 'A take of nothing only asks: of a key that is not there as well, and it makes none.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), stillQuota(3)]
      const whole = { kind: 'granted', granted: 0, remaining: 3, resetMs: 0 }
      assert.deepEqual(await scene.granted(client, { key, quota, cost: 0 }), whole)
      assert.deepEqual(await scene.granted(client, { key, quota, cost: 0, least: 0 }), whole)
      assert.deepEqual(await scene.harness.leftovers(key), [])
      await scene.granted(client, { key, quota, cost: 3 })
      const none = await scene.granted(client, { key, quota, cost: 0 })
      assert.deepEqual([none.granted, none.remaining], [0, 0])
    },
  },
  {
    promise: 'Q1',
    name: 'Where less is left than is wanted, it is granted if it is enough.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 1, periodMs: 1_000_000, burst: 10 }]
      assert.equal((await scene.granted(client, { key, quota, cost: 6, least: 1 })).granted, 6)
      const enough = await scene.refused(client, { key, quota, cost: 10, least: 5 })
      assert.equal(enough.remaining, 4)
      // For one more, and not for the six that are missing of all.
      assert.ok(enough.retryAfterMs > 900_000 && enough.retryAfterMs <= 1_000_000)
      const rest = await scene.granted(client, { key, quota, cost: 10, least: 4 })
      assert.deepEqual([rest.granted, rest.remaining], [4, 0])
      await scene.refused(client, { key, quota, cost: 10, least: 1 })
    },
  },
  {
    promise: 'Q1',
    name: 'Another quota under the same key goes on from what was taken, and forgives nothing of it.',
    body: async scene => {
      const client = await scene.client()
      const key = scene.key()
      await scene.granted(client, { key, quota: stillQuota(10), cost: 8 })
      assert.equal(await scene.remaining(client, key, stillQuota(20)), 12)
      const takenMs = client.clock.monotonicMs()
      await scene.granted(client, { key, quota: stillQuota(20), cost: 7 })
      await scene.refused(client, { key, quota: stillQuota(10), cost: 1 })
      // One whose burst is smaller is closed until what is out has come back at its own pace.
      const fast = { limit: 10, periodMs: 2_000, burst: 10 }
      const { retryAfterMs } = await scene.refused(client, { key, quota: fast, cost: 10 })
      const leastMs = 3_000 - 10 - (client.clock.monotonicMs() - takenMs)
      assert.ok(retryAfterMs >= leastMs && retryAfterMs <= 3_000, `It says to wait ${retryAfterMs} ms.`)
      // And to ask is no help: nobody is given permits anew by that.
      assert.equal(await scene.remaining(client, key, stillQuota(20)), 5)
      await scene.harness.advance(retryAfterMs)
      await scene.granted(client, { key, quota: fast, cost: 10 })
    },
  },
  {
    promise: 'Q1',
    name: 'Quotas at the ends of what is allowed are kept to.',
    body: async scene => {
      const client = await scene.client()
      const slow = { limit: 1, periodMs: 86_400_000, burst: TOP }
      const key = scene.key()
      await scene.granted(client, { key, quota: slow, cost: TOP - 1 })
      const last = await scene.granted(client, { key, quota: slow, cost: 1 })
      assert.equal(last.remaining, 0)
      assert.ok(last.resetMs > 86_400_000 * (TOP - 2) && last.resetMs <= 86_400_000 * TOP)
      const { retryAfterMs } = await scene.refused(client, { key, quota: slow, cost: 1 })
      assert.ok(retryAfterMs > 86_000_000 && retryAfterMs <= 86_400_000, `It says to wait ${retryAfterMs} ms.`)
      await scene.giveBack(client, key, slow, TOP)
      const fast = { limit: TOP, periodMs: 1, burst: 1 }
      await scene.granted(client, { key: scene.key(), quota: fast, cost: 1 })
      const quick = { limit: TOP, periodMs: 1_000, burst: TOP }
      assert.equal((await scene.granted(client, { key: scene.key(), quota: quick, cost: TOP })).remaining, 0)
    },
  },
  {
    promise: 'Q1',
    name: 'Keys are apart, whatever is in their names.',
    body: async scene => {
      const client = await scene.client()
      const [tag, quota] = [scene.key(), stillQuota(1)]
      const names = ['', '{}', '{a}', 'a', '%7Ba%7D', ' ', ':', 'é', '日本', "';--", '"', '\\', '*'].map(
        end => `${tag}${end}`,
      )
      for (const key of [...names, `{${tag}}`, tag.toUpperCase() === tag ? `${tag}-` : tag.toUpperCase()]) {
        await scene.granted(client, { key, quota, cost: 1 })
        await scene.refused(client, { key, quota, cost: 1 })
      }
      await scene.granted(client, { key: tag.padEnd(200, 'x'), quota, cost: 1 })
    },
  },
]
