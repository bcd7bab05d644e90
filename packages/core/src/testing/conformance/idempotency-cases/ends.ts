import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { RunRef } from '../../../ports/idempotency.ts'
import type { IdempotencyCase, IdempotencyScene } from '../idempotency-scene.ts'

/** Who may end a run. */
export const endCases: readonly IdempotencyCase[] = [
  {
    promise: 'I2',
    name: 'A run that was followed is told `stale`, whatever it does, and the result of its successor stays.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const first = await scene.lostRun(one, scene.key())
      const second = await scene.run(other, first.key)
      await isStale(scene, one, first)
      assert.equal(await scene.complete(other, second, 'second'), 'kept')
      await isStale(scene, one, first)
      assert.equal(await scene.result(one, first.key), 'second')
    },
  },
  {
    promise: 'I2',
    name: 'A run that was followed is told `stale` also when its successor has given the key back.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const first = await scene.lostRun(one, scene.key())
      const second = await scene.run(other, first.key)
      assert.equal(await scene.release(other, second), 'released')
      await isStale(scene, one, first)
      assert.ok((await scene.run(one, first.key)).fence > second.fence)
    },
  },
  {
    promise: 'I2',
    name: 'A run whose lease passed, and that nobody followed, still completes.',
    body: async scene => {
      const client = await scene.client()
      const run = await scene.lostRun(client, scene.key())
      assert.equal(await scene.complete(client, run, 'late'), 'kept')
      assert.equal(await scene.result(client, run.key), 'late')
    },
  },
  {
    promise: 'I2',
    name: 'A run whose lease passed, and that nobody followed, is still renewed and given back.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const run = await scene.lostRun(one, scene.key())
      assert.equal(await scene.renew(one, run), 'kept')
      assert.equal((await scene.begin(other, run.key)).kind, 'in-flight')
      assert.equal(await scene.release(one, run), 'released')
      await scene.run(other, run.key)
    },
  },
  {
    promise: 'I2',
    name: 'Who names another owner or another fence touches nothing.',
    body: async scene => {
      const client = await scene.client()
      const before = await scene.run(client, scene.key())
      await scene.release(client, before)
      const run = await scene.run(client, before.key)
      await isStale(scene, client, { ...run, fence: run.fence + 1n })
      await isStale(scene, client, { ...run, fence: before.fence })
      await isStale(scene, client, before)
      await isStale(scene, client, { ...run, owner: client.idempotency.newOwner() })
      await isStale(scene, client, { ...run, key: scene.key() })
      assert.equal(await scene.complete(client, run, 'mine'), 'kept')
    },
  },
  {
    promise: 'I2',
    name: 'Of what a run ends with the first stands: a result is not given back, and what was given back is not completed.',
    body: async scene => {
      const client = await scene.client()
      const done = await scene.run(client, scene.key())
      await scene.complete(client, done, 'first')
      assert.equal(await scene.release(client, done), 'stale')
      assert.equal(await scene.renew(client, done), 'stale')
      assert.equal(await scene.result(client, done.key), 'first')
      const released = await scene.run(client, scene.key())
      await scene.release(client, released)
      assert.equal(await scene.complete(client, released, 'too late'), 'stale')
      assert.equal(await scene.renew(client, released), 'stale')
      await scene.run(client, released.key)
    },
  },
  {
    promise: 'I2',
    name: 'Another client of the store may end a run, if it names it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const run = await scene.run(one, scene.key())
      assert.equal(await scene.complete(other, run, 'for you'), 'kept')
      assert.equal(await scene.result(one, run.key), 'for you')
    },
  },
]

async function isStale(scene: IdempotencyScene, client: Backend, run: RunRef): Promise<void> {
  assert.equal(await scene.renew(client, run), 'stale')
  assert.equal(await scene.complete(client, run, 'stale'), 'stale')
  assert.equal(await scene.release(client, run), 'stale')
}
