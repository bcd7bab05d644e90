import assert from 'node:assert/strict'
import type { Grant } from '../../../ports/leases.ts'
import type { LeaseCase } from '../lease-case.ts'
import { HOP_MS } from '../stage.ts'
import { nowGranted, permit, stillWaiting } from './shared-wishes.ts'

const MANY = 50

/** Permits: so many at a time and no more, each a lease of its own. */
export const permitCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'There are never more permits out than the limit, over several clients, and each release frees one.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const grants = []
      for (const client of [one, other, one])
        grants.push({ client, grant: await scene.take(client, resource, permit(3)) })
      for (const { client, grant } of grants) {
        assert.equal(await scene.probe(other, resource, permit(3)), 'held')
        assert.equal(await scene.release(client, grant), 'released')
        assert.equal(await scene.probe(other, resource, permit(3)), 'granted')
        const again = await scene.take(client, resource, permit(3))
        assert.equal(await scene.probe(one, resource, permit(3)), 'held')
        await scene.release(client, again)
        assert.equal(await scene.probe(one, resource, permit(3)), 'granted')
        // It is taken once more, so that the next release is the one that is counted.
        grants.push({ client, grant: await scene.take(client, resource, permit(3)) })
        if (grants.length === 6) break
      }
      for (const { client, grant } of grants) await scene.release(client, grant)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L1',
    name: `${MANY} permits are all given out, asked for at once, and the next is refused.`,
    needs: 'modes',
    body: async scene => {
      const clients = await scene.twoClients()
      const [one, other] = clients
      const resource = scene.resource()
      const asked = Array.from({ length: MANY }, (_, index) => {
        const client = index % 2 === 0 ? one : other
        return client.leases.grant(scene.request(client, resource, permit(MANY)))
      })
      const grants = await scene.within(Promise.all(asked), 5 * HOP_MS, `${MANY} permits`)
      assert.equal(await scene.probe(one, resource, permit(MANY)), 'held')
      const slots = new Set(grants.map(({ slot }) => slot))
      if (scene.harness.slots) assert.deepEqual(slots, new Set(Array.from({ length: MANY }, (_, index) => index)))
      else assert.deepEqual(slots, new Set([undefined]))
      const releases = grants.map((grant, index) => clients[index % 2 === 0 ? 0 : 1].leases.release(grant))
      const outcomes = await scene.within(Promise.all(releases), 5 * HOP_MS, 'the releases')
      assert.deepEqual(new Set(outcomes), new Set(['released']))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L2',
    name: 'A permit has the lowest slot that is free, when it is granted at once and when it waited.',
    needs: ['modes', 'slots', 'fifo'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const taken: Grant[] = []
      for (let slot = 0; slot < 4; slot += 1) taken.push(await scene.take(one, resource, permit(4)))
      assert.deepEqual(
        taken.map(({ slot }) => slot),
        [0, 1, 2, 3],
      )
      const [first, second, third, fourth] = taken
      assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined)
      for (const gone of [fourth, second]) await scene.release(one, gone)
      const again = [await scene.take(other, resource, permit(4)), await scene.take(other, resource, permit(4))]
      assert.deepEqual(
        again.map(({ slot }) => slot),
        [1, 3],
      )
      const waiting = [await scene.line(other, resource, permit(4)), await scene.line(other, resource, permit(4))]
      const expected = [2, 0]
      for (const [index, gone] of [third, first].entries()) {
        await scene.release(one, gone)
        const next = waiting[index]
        assert.ok(next !== undefined)
        const granted = await nowGranted(scene, next, 'the next permit')
        assert.equal(granted.slot, expected[index])
        again.push(granted)
      }
      for (const grant of again) assert.equal(await scene.release(other, grant), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L3',
    name: 'A permit that is asked for again is the same one, with its token and slot, and one release frees it.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const beside = await scene.take(one, resource, permit(2))
      const request = scene.request(one, resource, permit(2))
      const grant = await scene.takeBy(one, request)
      const waiting = await scene.line(other, resource, permit(2))
      const again = await scene.takeBy(one, request)
      const waited = await scene.within(one.leases.grant(request), HOP_MS, 'the same request, as one that may wait')
      for (const told of [again, waited]) {
        assert.deepEqual([told.token.value, told.slot], [grant.token.value, grant.slot])
      }
      await stillWaiting(scene, waiting)
      assert.equal(await scene.release(one, grant), 'released')
      const next = await nowGranted(scene, waiting, 'the one that waits')
      assert.equal(await scene.probe(one, resource, permit(2)), 'held')
      await scene.release(one, beside)
      await scene.release(other, next)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L3',
    name: 'Releasing and renewing a permit touch no other, and one who has none frees and prolongs nothing.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, permit(2))
      const second = await scene.take(other, resource, permit(2))
      const forged: Grant = { ...first, request: { ...first.request, requestId: other.leases.newRequestId() } }
      assert.equal(await scene.release(other, forged), 'lost')
      assert.equal(await scene.probe(one, resource, permit(2)), 'held')
      assert.equal(await scene.release(one, first), 'released')
      const successor = await scene.take(one, resource, permit(2))
      await scene.release(one, first)
      assert.equal(await scene.probe(one, resource, permit(2)), 'held')
      const batch = [forged, first, successor].map(grant => ({ grant, ttlMs: grant.ttlMs }))
      const outcomes = await scene.within(one.leases.renew(batch), HOP_MS, 'the renewals')
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        ['lost', 'lost', 'renewed'],
      )
      assert.equal(await scene.release(one, successor), 'released')
      assert.equal(await scene.release(other, second), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'A permit whose holder fell silent is free after its own deadline, with its slot, and the others stay.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      const first = await scene.take(other, resource, permit(3))
      const dying = await scene.take(one, resource, { ...permit(3), ttlMs: 2 * scene.ttlMs })
      const last = await scene.take(other, resource, permit(3))
      const next = await scene.line(third, resource, permit(3))
      const behind = await scene.line(third, resource, permit(3))
      await scene.stopRenewing(one)
      const granted = await scene.within(next.promise, 4 * scene.ttlMs + 2 * HOP_MS, 'the permit to lapse')
      assert.ok(dying.deadline.remainingMs() <= 0, 'The silent holder seems to have its permit still.')
      assert.equal(granted.slot, dying.slot)
      await stillWaiting(scene, behind)
      assert.equal(await scene.release(other, first), 'released')
      const second = await nowGranted(scene, behind, 'the second waiter')
      assert.equal(second.slot, first.slot)
      assert.equal(await scene.release(other, last), 'released')
      for (const grant of [granted, second]) assert.equal(await scene.release(third, grant), 'released')
      await scene.nothingLeft(resource)
    },
  },
]
