import assert from 'node:assert/strict'
import type { IdempotencyCase } from '../idempotency-scene.ts'
import { KEEP_MS } from '../idempotency-scene.ts'

/** Fences of a key grow. */
export const fenceCases: readonly IdempotencyCase[] = [
  {
    promise: 'I3',
    name: 'Each of 20 runs of a key, by two clients in turn, has a higher fence than the one before.',
    body: async scene => {
      const clients = await scene.twoClients()
      const key = scene.key()
      let last = 0n
      for (let turn = 0; turn < 20; turn += 1) {
        const client = clients[turn % 2 === 0 ? 0 : 1]
        const run = await scene.run(client, key)
        assert.ok(run.fence > last, `${run.fence} came after ${last}.`)
        last = run.fence
        await scene.release(client, run)
      }
    },
  },
  {
    promise: 'I3',
    name: 'The run after one that was lost has a higher fence.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const first = await scene.lostRun(one, scene.key())
      assert.ok((await scene.run(other, first.key)).fence > first.fence)
    },
  },
  {
    promise: 'I3',
    name: 'The run after a result that is not kept any more has a higher fence.',
    body: async scene => {
      const client = await scene.client()
      const first = await scene.run(client, scene.key())
      await scene.complete(client, first, 'short', { keepMs: KEEP_MS })
      await scene.harness.advance(KEEP_MS + scene.harness.slackMs)
      assert.ok((await scene.run(client, first.key)).fence > first.fence)
    },
  },
  {
    promise: 'I3',
    name: 'After the store lost its data a run has a higher fence, and the one before is told `stale`.',
    needs: ['loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const first = await scene.run(one, scene.key())
      await scene.able('loseData')(first.key)
      assert.equal(await scene.complete(one, first, 'nobody knows of it'), 'stale')
      const second = await scene.run(other, first.key)
      assert.ok(second.fence > first.fence)
      assert.equal(await scene.complete(one, first, 'stale'), 'stale')
      assert.equal(await scene.complete(other, second, 'second'), 'kept')
    },
  },
  {
    promise: 'I3',
    name: 'After the store was restarted what was done is done, what runs is still the run, and new ones have higher fences.',
    needs: ['restart'],
    body: async scene => {
      const client = await scene.client()
      const done = await scene.run(client, scene.key())
      await scene.complete(client, done, 'before')
      const running = await scene.run(client, scene.key())
      await scene.able('restart')()
      await scene.within(client.ready({ timeoutMs: 60_000 }), 60_000, 'the server')
      assert.equal(await scene.result(client, done.key), 'before')
      assert.equal((await scene.begin(client, running.key)).kind, 'in-flight')
      assert.equal(await scene.release(client, running), 'released')
      assert.ok((await scene.run(client, running.key)).fence > running.fence)
    },
  },
]
