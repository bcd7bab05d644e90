import assert from 'node:assert/strict'
import type { RateCase } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

const FIVE_MINUTES_MS = 300_000

/** Whose clock it is, and what time does to a key. */
export const clockCases: readonly RateCase[] = [
  {
    promise: 'Q2',
    name: 'Clients whose clocks are 10 minutes apart share one quota as if they were not.',
    needs: ['openAhead'],
    body: async scene => {
      const openAhead = scene.able('openAhead')
      const ahead = await scene.adopt(openAhead(FIVE_MINUTES_MS))
      const behind = await scene.adopt(openAhead(-FIVE_MINUTES_MS))
      assert.ok(ahead.clock.wallMs() - behind.clock.wallMs() > FIVE_MINUTES_MS)
      const [key, quota] = [scene.key(), { limit: 1, periodMs: 60_000, burst: 4 }]
      for (const client of [ahead, behind, ahead, behind]) await scene.granted(client, { key, quota, cost: 1 })
      for (const client of [behind, ahead]) {
        const { retryAfterMs, remaining } = await scene.refused(client, { key, quota, cost: 1 })
        assert.equal(remaining, 0)
        assert.ok(retryAfterMs > 60_000 - 10_000 && retryAfterMs <= 60_000, `It says to wait ${retryAfterMs} ms.`)
      }
    },
  },
  {
    promise: 'Q2',
    name: 'When the clock of the store goes back by an hour, a key is closed for no longer than its burst takes to come back.',
    needs: ['setBack'],
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 2, periodMs: 2_000, burst: 2 }]
      await scene.granted(client, { key, quota, cost: 2 })
      await scene.able('setBack')(key, 3_600_000)
      const { retryAfterMs, resetMs } = await scene.refused(client, { key, quota, cost: 2 })
      assert.ok(
        retryAfterMs <= 2_000 && resetMs <= 2_000,
        `It says to wait ${retryAfterMs} ms, and ${resetMs} ms for all.`,
      )
      await scene.harness.advance(retryAfterMs)
      await scene.granted(client, { key, quota, cost: 2 })
    },
  },
  {
    promise: 'Q3',
    name: 'What a refused take is told to wait for is enough, and half of it is not.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 1, periodMs: 3_000, burst: 3 }]
      await scene.granted(client, { key, quota, cost: 3 })
      const { retryAfterMs } = await scene.refused(client, { key, quota, cost: 1 })
      const toldMs = client.clock.monotonicMs()
      assert.ok(retryAfterMs > 0 && retryAfterMs <= 3_000)
      await scene.harness.advance(Math.floor(retryAfterMs / 2))
      const early = await scene.take(client, { key, quota, cost: 1 })
      const waitedMs = client.clock.monotonicMs() - toldMs
      assert.equal(early.kind, waitedMs < retryAfterMs ? 'refused' : early.kind)
      await scene.harness.advance(Math.max(0, retryAfterMs - waitedMs))
      if (early.kind === 'refused') await scene.granted(client, { key, quota, cost: 1 })
    },
  },
  {
    promise: 'Q3',
    name: 'Of a quota that was used up all is back once `resetMs` has passed.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 30, periodMs: 1_000, burst: 10 }]
      const { resetMs } = await scene.granted(client, { key, quota, cost: 10 })
      assert.ok(resetMs > 300 && resetMs <= 334, `It says ${resetMs} ms.`)
      await scene.harness.advance(resetMs)
      assert.deepEqual(await scene.granted(client, { key, quota, cost: 0 }), {
        kind: 'granted',
        granted: 0,
        remaining: 10,
        resetMs: 0,
      })
    },
  },
  {
    promise: 'Q5',
    name: 'A key that nobody uses is gone from the store a period and a second after it was whole.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), { limit: 10, periodMs: 500, burst: 10 }]
      await scene.granted(client, { key, quota, cost: 4 })
      await scene.granted(client, { key, quota, cost: 3 })
      assert.notDeepEqual(await scene.harness.leftovers(key), [])
      const others = async (): Promise<boolean> => {
        const other = scene.key()
        for (let at = 0; at < 20; at += 1) await client.rates.take({ key: other, quota: stillQuota(20), cost: 1 })
        return (await scene.harness.leftovers(key)).length === 0
      }
      await scene.eventually(others, 'the key is still there', 350 + quota.periodMs + 1_000 + scene.harness.slackMs)
    },
  },
]
