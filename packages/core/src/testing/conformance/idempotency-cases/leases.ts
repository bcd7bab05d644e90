import assert from 'node:assert/strict'
import type { IdempotencyCase } from '../idempotency-scene.ts'
import { KEEP_MS, LONG_MS } from '../idempotency-scene.ts'

/** Leases and keeping go by the store's clock. */
export const leaseCases: readonly IdempotencyCase[] = [
  {
    promise: 'I4',
    name: 'Who meets a run is told how long its lease lasts at most.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const { key } = await scene.run(one, scene.key(), { leaseMs: 60_000 })
      const outcome = await scene.begin(other, key)
      assert.equal(outcome.kind, 'in-flight')
      const leftMs = outcome.kind === 'in-flight' ? outcome.leaseLeftMs : 0
      assert.ok(leftMs > 50_000 && leftMs <= 60_000, `It said ${leftMs}.`)
    },
  },
  {
    promise: 'I4',
    name: 'A run that is renewed outlives its lease, and one that is not can be run again.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const { leaseMs, slackMs } = scene.harness
      const renewed = await scene.run(one, scene.key(), { leaseMs })
      const left = await scene.run(one, scene.key(), { leaseMs })
      assert.equal(await scene.renew(one, renewed, LONG_MS), 'kept')
      await scene.harness.advance(leaseMs + slackMs)
      assert.equal((await scene.begin(other, renewed.key)).kind, 'in-flight')
      await scene.run(other, left.key)
    },
  },
  {
    promise: 'I4',
    name: 'A run that was lost is `lost` to whoever asks for that, again and again, until its owner completes after all.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const run = await scene.lostRun(one, scene.key())
      for (let again = 0; again < 3; again += 1) {
        assert.deepEqual(await scene.begin(other, run.key, { onLost: 'fail' }), { kind: 'lost' })
      }
      assert.equal(await scene.complete(one, run, 'late'), 'kept')
      assert.equal(await scene.result(other, run.key), 'late')
    },
  },
  {
    promise: 'I4',
    name: 'A run that was lost is remembered for `keepMs`, and then the key is as new.',
    body: async scene => {
      const client = await scene.client()
      const run = await scene.lostRun(client, scene.key(), { keepMs: KEEP_MS, onLost: 'fail' })
      assert.deepEqual(await scene.begin(client, run.key, { onLost: 'fail' }), { kind: 'lost' })
      await scene.harness.advance(KEEP_MS + scene.harness.slackMs)
      const next = await scene.run(client, run.key, { onLost: 'fail', fingerprint: 'other' })
      assert.ok(next.fence > run.fence)
      assert.equal(await scene.complete(client, run, 'too late'), 'stale')
    },
  },
  {
    promise: 'I6',
    name: 'A result is kept for `keepMs`, and then the key is as new, and nothing is left of it.',
    body: async scene => {
      const client = await scene.client()
      const key = scene.key()
      await scene.complete(client, await scene.run(client, key), 'short', { keepMs: KEEP_MS })
      assert.equal(await scene.result(client, key), 'short')
      await scene.harness.advance(KEEP_MS + scene.harness.slackMs)
      await scene.nothingLeft(client, key)
      await scene.run(client, key, { fingerprint: 'other' })
    },
  },
  {
    promise: 'I6',
    name: 'Of runs that were lost or given back nothing is left after their time.',
    body: async scene => {
      const client = await scene.client()
      const { leaseMs, slackMs } = scene.harness
      const lost = await scene.run(client, scene.key(), { leaseMs, keepMs: KEEP_MS })
      const released = await scene.run(client, scene.key(), { leaseMs, keepMs: KEEP_MS })
      await scene.release(client, released)
      await scene.harness.advance(leaseMs + KEEP_MS + slackMs)
      await scene.nothingLeft(client, lost.key)
      await scene.nothingLeft(client, released.key)
    },
  },
]
