import assert from 'node:assert/strict'
import type { RateCase } from '../rate-scene.ts'
import { stillQuota } from '../rate-scene.ts'

/** Giving back. */
export const giveBackCases: readonly RateCase[] = [
  {
    promise: 'Q1',
    name: 'What is given back can be taken again, by anybody.',
    body: async scene => {
      const [one, other] = await scene.clients(2)
      if (one === undefined || other === undefined) assert.fail()
      const [key, quota] = [scene.key(), stillQuota(10)]
      await scene.granted(one, { key, quota, cost: 10 })
      await scene.giveBack(one, key, quota, 4)
      assert.equal((await scene.granted(other, { key, quota, cost: 4 })).remaining, 0)
      await scene.refused(one, { key, quota, cost: 1 })
    },
  },
  {
    promise: 'Q1',
    name: 'Giving back makes the burst whole and no more, and does nothing to a key that is not there.',
    body: async scene => {
      const client = await scene.client()
      const [key, quota] = [scene.key(), stillQuota(10)]
      await scene.giveBack(client, key, quota, 5)
      assert.equal(await scene.remaining(client, key, quota), 10)
      assert.deepEqual(await scene.harness.leftovers(key), [])
      await scene.granted(client, { key, quota, cost: 3 })
      await scene.giveBack(client, key, quota, 1_000_000_000)
      assert.equal(await scene.remaining(client, key, quota), 10)
      await scene.giveBack(client, key, quota, 1)
      await scene.granted(client, { key, quota, cost: 10 })
      await scene.refused(client, { key, quota, cost: 1 })
      await scene.giveBack(client, key, quota, 0)
      await scene.refused(client, { key, quota, cost: 1 })
    },
  },
  {
    promise: 'Q1',
    name: 'Takes and give-backs that race leave what they come to.',
    body: async scene => {
      const clients = await scene.clients(3)
      const [key, quota] = [scene.key(), stillQuota(1_000)]
      const work = clients.flatMap(client =>
        Array.from({ length: 40 }, async () => {
          await scene.granted(client, { key, quota, cost: 3 })
          await scene.giveBack(client, key, quota, 2)
        }),
      )
      await Promise.all(work)
      assert.equal(await scene.remaining(clients[0] ?? (await scene.client()), key, quota), 1_000 - 120)
    },
  },
]
