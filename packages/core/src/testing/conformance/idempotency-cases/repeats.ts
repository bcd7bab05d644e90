import assert from 'node:assert/strict'
import type { IdempotencyCase } from '../idempotency-scene.ts'

/** A step that is sent again means the same. */
export const repeatCases: readonly IdempotencyCase[] = [
  {
    promise: 'I5',
    name: 'A begin that is sent again, also by another client and after its lease passed, has the same run.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const { leaseMs, slackMs } = scene.harness
      const request = scene.request(one, scene.key(), { leaseMs, onLost: 'fail' })
      const first = await scene.begun(one, request)
      assert.equal(first.kind, 'run')
      assert.deepEqual(await scene.begun(one, request), first)
      assert.deepEqual(await scene.begun(other, request), first)
      await scene.harness.advance(leaseMs + slackMs)
      assert.deepEqual(await scene.begun(one, request), first)
      assert.equal((await scene.begin(other, request.key)).kind, 'in-flight')
    },
  },
  {
    promise: 'I5',
    name: 'A begin that is sent many times at once is one run.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      for (let round = 0; round < 10; round += 1) {
        const request = scene.request(one, scene.key())
        const [first, ...others] = await Promise.all(
          [one, other, one, other].map(client => scene.begun(client, request)),
        )
        assert.equal(first?.kind, 'run')
        for (const outcome of others) assert.deepEqual(outcome, first)
      }
    },
  },
  {
    promise: 'I5',
    name: 'Renewing, completing and giving back again are answered the same, and the first result stays.',
    body: async scene => {
      const client = await scene.client()
      const done = await scene.run(client, scene.key())
      assert.equal(await scene.renew(client, done), 'kept')
      assert.equal(await scene.renew(client, done), 'kept')
      assert.equal(await scene.complete(client, done, 'first'), 'kept')
      assert.equal(await scene.complete(client, done, 'second', { failed: true }), 'kept')
      const { failed } = await scene.done(client, done.key)
      assert.equal(failed, false)
      assert.equal(await scene.result(client, done.key), 'first')
      const released = await scene.run(client, scene.key())
      assert.equal(await scene.release(client, released), 'released')
      assert.equal(await scene.release(client, released), 'released')
    },
  },
  {
    promise: 'I5',
    name: 'A begin that comes again after its run was given back or done starts nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const released = scene.request(one, scene.key())
      const done = scene.request(one, scene.key())
      for (const request of [released, done]) {
        const outcome = await scene.begun(one, request)
        assert.equal(outcome.kind, 'run')
        const run = { ...request, fence: outcome.kind === 'run' ? outcome.fence : 0n }
        if (request === done) await scene.complete(one, run, 'result')
        else await scene.release(one, run)
        await scene.begun(one, request)
      }
      assert.equal(await scene.result(other, done.key), 'result')
      await scene.run(other, released.key)
    },
  },
  {
    promise: 'I5',
    name: 'Steps of a client whose connections are cut over and over are done once.',
    needs: ['cut'],
    body: async scene => {
      const client = await scene.client()
      await scene.run(client, scene.key())
      for (let round = 0; round < 10; round += 1) {
        const request = scene.request(client, scene.key())
        const begun = scene.begun(client, request)
        await scene.able('cut')(client)
        const outcome = await begun
        assert.equal(outcome.kind, 'run')
        const run = { ...request, fence: outcome.kind === 'run' ? outcome.fence : 0n }
        const completed = scene.complete(client, run, String(round))
        await scene.able('cut')(client)
        assert.equal(await completed, 'kept')
        assert.equal(await scene.result(client, request.key), String(round))
      }
    },
  },
]
