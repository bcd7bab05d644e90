import assert from 'node:assert/strict'
import type { LeaseCase } from '../lease-case.ts'
import type { Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

const WAITERS = 10

/** The queue: who is served when, and what one can see of it. */
export const waiterCases: readonly LeaseCase[] = [
  {
    promise: 'L7',
    name: `${WAITERS} waiters in three clients are served first come, first served.`,
    needs: 'fifo',
    body: async scene => {
      const clients = await scene.threeClients()
      const [one] = clients
      const held = await scene.take(one, scene.resource())
      const { resource } = held.request
      const served: number[] = []
      const waiting: Waiting[] = []
      for (let index = 0; index < WAITERS; index += 1) {
        const client = clients[index % clients.length]
        assert.ok(client !== undefined)
        const entry = scene.wait(client, resource)
        await scene.queued(one, entry)
        waiting.push(entry)
        void entry.promise.then(async grant => {
          served.push(index)
          await client.leases.release(grant)
        })
      }
      await scene.release(one, held)
      await scene.within(Promise.all(waiting.map(({ promise }) => promise)), 10 * HOP_MS, 'every waiter')
      assert.deepEqual(served, [...waiting.keys()])
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Nobody who only tries gets in before one who waits.',
    needs: 'fifo',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      for (let round = 0; round < 10; round += 1) {
        const held = await scene.take(one, resource)
        const waiting = scene.wait(other, resource)
        await scene.queued(one, waiting)
        const [, tried] = await scene.within(
          Promise.all([one.leases.release(held), one.leases.tryGrant(scene.request(one, resource))]),
          HOP_MS,
          'a release and a try behind it',
        )
        assert.equal(tried.kind, 'held')
        await scene.release(other, await scene.within(waiting.promise, HOP_MS, 'the waiter'))
      }
    },
  },
  {
    promise: 'L7',
    name: 'Waiting costs the store next to nothing: 20 waiters send fewer requests in a second than they are.',
    needs: 'requests',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource())
      const waiting: Waiting[] = []
      for (let index = 0; index < 20; index += 1) {
        const entry = scene.wait(other, held.request.resource)
        await scene.queued(one, entry)
        waiting.push(entry)
      }
      // Who has no queue to stand in asks again at first.
      if (scene.harness.ordering === 'none') await scene.harness.advance(1_000)
      const before = scene.requests(other)
      await scene.harness.advance(1_000)
      const sent = scene.requests(other) - before
      assert.ok(sent < waiting.length, `They sent ${sent} requests.`)
      assert.ok(waiting.every(({ state }) => state === 'pending'))
    },
  },
  {
    promise: 'L6',
    name: 'A waiter whose client was closed costs nothing: the resource goes to the next at once.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource())
      const { resource } = held.request
      const gone = scene.wait(other, resource)
      await scene.queued(one, gone)
      const next = scene.wait(third, resource)
      await scene.queued(one, next)
      await scene.within(other.close(), 5 * HOP_MS, 'closing a client that waits')
      assert.equal(gone.state, 'rejected')
      await scene.release(one, held)
      await scene.release(third, await scene.within(next.promise, HOP_MS, 'the next in the queue'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'Several waiters that gave up in a row cost the one behind them nothing.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource())
      const { resource } = held.request
      const abort = new AbortController()
      for (let index = 0; index < 5; index += 1) {
        const aborted = scene.wait(other, resource, { signal: abort.signal })
        await scene.queued(one, aborted)
        // The hand-off can be faster than the abort.
        aborted.promise.then(
          grant => other.leases.release(grant),
          () => undefined,
        )
      }
      const next = scene.wait(third, resource)
      await scene.queued(one, next)
      const release = one.leases.release(held)
      abort.abort(new Error('all at once'))
      assert.equal(await scene.within(release, HOP_MS, 'the release'), 'released')
      await scene.release(third, await scene.within(next.promise, HOP_MS, 'the last in the queue'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: '`inspect` shows the holder with its token and meta, and those who wait.',
    needs: 'listed',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource, { meta: { purpose: 'to hold', 'ключ "1"': '{}%/' } })
      const waiting: Waiting[] = []
      for (const purpose of ['first', 'second', 'third']) {
        const entry = scene.wait(other, resource, { meta: { purpose } })
        await scene.queued(one, entry)
        waiting.push(entry)
      }
      const info = await scene.within(other.leases.inspect(resource), HOP_MS, 'the answer')
      assert.equal(info.resource, resource)
      assert.equal(info.holder?.requestId, held.request.requestId)
      // Of another's lease a store may know no more than a token between his and the next one's.
      assert.ok(info.holder !== undefined && info.holder.token.value >= held.token.value)
      const own = await scene.within(one.leases.inspect(resource), HOP_MS, 'the answer')
      assert.equal(own.holder?.token.value, held.token.value)
      assert.deepEqual({ ...info.holder.meta }, { purpose: 'to hold', 'ключ "1"': '{}%/' })
      const shown = info.waiters.map(({ requestId, meta }) => ({ requestId, meta: { ...meta } }))
      const expected = waiting.map(({ request }) => ({
        requestId: request.requestId,
        meta: JSON.parse(request.meta) as object,
      }))
      if (scene.harness.ordering === 'none') shown.sort((a, b) => (a.requestId < b.requestId ? -1 : 1))
      assert.deepEqual(shown, expected)
    },
  },
  {
    promise: 'L7',
    name: '`inspect` shows nobody for a resource that nobody has asked for, and leaves no trace of the look.',
    body: async scene => {
      const client = await scene.client()
      const resource = scene.resource()
      const info = await scene.within(client.leases.inspect(resource), HOP_MS, 'the answer')
      assert.deepEqual([info.resource, info.holder, info.waiters], [resource, undefined, []])
      assert.deepEqual(await scene.harness.leftovers(resource), [])
    },
  },
]
