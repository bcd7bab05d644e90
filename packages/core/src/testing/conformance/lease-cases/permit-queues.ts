import assert from 'node:assert/strict'
import type { LeaseCase } from '../lease-case.ts'
import type { Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { nowGranted, permit, stillWaiting } from './shared-wishes.ts'

const WAITERS = 9

/** The queue for permits: the first is granted once it fits by its own limit, and nobody before it. */
export const permitQueueCases: readonly LeaseCase[] = [
  {
    promise: 'L7',
    name: `${WAITERS} waiters for one of two permits are served first come, first served.`,
    needs: ['modes', 'fifo'],
    body: async scene => {
      const clients = await scene.threeClients()
      const [one, other] = clients
      const resource = scene.resource()
      const held = [await scene.take(one, resource, permit(2)), await scene.take(other, resource, permit(2))]
      const waiting: { readonly client: typeof one; readonly entry: Waiting }[] = []
      for (let index = 0; index < WAITERS; index += 1) {
        const client = clients[index % clients.length]
        assert.ok(client !== undefined)
        waiting.push({ client, entry: await scene.line(client, resource, permit(2)) })
      }
      const [, second] = held
      assert.ok(second !== undefined)
      for (const [index, { client, entry }] of waiting.entries()) {
        const before = index === 0 ? { client: one, grant: held[0] } : waiting[index - 1]
        assert.ok(before !== undefined)
        const grant = 'grant' in before ? before.grant : await before.entry.promise
        assert.ok(grant !== undefined)
        assert.equal(await scene.release(before.client, grant), 'released')
        await nowGranted(scene, entry, `waiter ${index}`)
        for (const later of waiting.slice(index + 1)) assert.equal(later.entry.state, 'pending')
        if (index === waiting.length - 1) await scene.release(client, await entry.promise)
      }
      await scene.release(other, second)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Nobody who only tries gets a permit before one who waits for it.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const kept = await scene.take(other, resource, permit(2))
      for (let round = 0; round < 10; round += 1) {
        const held = await scene.take(one, resource, permit(2))
        const waiting = await scene.line(other, resource, permit(2))
        const [, tried] = await scene.within(
          Promise.all([one.leases.release(held), one.leases.tryGrant(scene.request(one, resource, permit(2)))]),
          HOP_MS,
          'a release and a try behind it',
        )
        assert.equal(tried.kind, 'held')
        await scene.release(other, await nowGranted(scene, waiting, 'the waiter'))
      }
      await scene.release(other, kept)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'Permits that are released at once go to as many waiters at once.',
    needs: 'modes',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      const held = []
      for (let index = 0; index < 3; index += 1) held.push(await scene.take(one, resource, permit(3)))
      const waiting = []
      for (const client of [other, third, other]) {
        waiting.push({ client, entry: await scene.line(client, resource, permit(3)) })
      }
      const releases = Promise.all(held.map(grant => one.leases.release(grant)))
      assert.deepEqual(await scene.within(releases, HOP_MS, 'the releases'), ['released', 'released', 'released'])
      const all = Promise.all(waiting.map(({ entry }) => entry.promise))
      const grants = await scene.within(all, HOP_MS, 'all three waiters')
      assert.equal(new Set(grants.map(({ token }) => token.value)).size, 3)
      assert.equal(await scene.probe(one, resource, permit(3)), 'held')
      for (const { client, entry } of waiting) await scene.release(client, await entry.promise)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Where limits differ each goes by its own, and the first in the queue holds up those behind it.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, permit(1))
      assert.equal(await scene.probe(other, resource, permit(1)), 'held')
      const second = await scene.take(other, resource, permit(2))
      const small = await scene.line(third, resource, permit(1))
      const large = await scene.line(third, resource, permit(3))
      assert.equal(await scene.probe(other, resource, permit(3)), 'held')
      assert.equal(await scene.release(other, second), 'released')
      await stillWaiting(scene, small, large)
      assert.equal(await scene.release(one, first), 'released')
      const grants = [
        await nowGranted(scene, small, 'the one with the smaller limit'),
        await nowGranted(scene, large, 'the one behind it'),
      ]
      assert.equal(await scene.probe(one, resource, permit(2)), 'held')
      assert.equal(await scene.probe(one, resource, permit(3)), 'granted')
      for (const grant of grants) assert.equal(await scene.release(third, grant), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L5',
    name: 'A waiter with a smaller limit that gives up, by abort or by closing its client, lets in those behind it at once.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource, permit(1))
      const abort = new AbortController()
      const aborted = await scene.line(other, resource, { ...permit(1), signal: abort.signal })
      const first = await scene.line(third, resource, permit(2))
      const closed = await scene.line(other, resource, permit(1))
      const second = await scene.line(third, resource, permit(3))
      await stillWaiting(scene, aborted, first, closed, second)
      const reason = new Error('changed my mind')
      abort.abort(reason)
      assert.equal(await scene.rejection(aborted.promise, HOP_MS, 'the aborted request'), reason)
      const grants = [await nowGranted(scene, first, 'the one behind the aborted one')]
      await stillWaiting(scene, closed, second)
      await scene.within(other.close(), 5 * HOP_MS, 'closing a client that waits')
      grants.push(await nowGranted(scene, second, 'the one behind the closed one'))
      for (const grant of grants) assert.equal(await scene.release(third, grant), 'released')
      await scene.release(one, held)
      await scene.nothingLeft(resource)
    },
  },
]
