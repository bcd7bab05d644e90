import assert from 'node:assert/strict'
import type { LeaseCase } from '../lease-case.ts'
import { HOP_MS } from '../stage.ts'

/** Who gets a resource, and what comes with it. */
export const grantCases: readonly LeaseCase[] = [
  {
    promise: 'L6',
    name: 'A free resource is granted at once, with a token, its TTL and a deadline within it.',
    body: async scene => {
      const client = await scene.client()
      const resource = scene.resource()
      // Nothing is sent while there is no connection, and the time of that would count as on its way.
      await client.ready()
      const sentMs = client.clock.monotonicMs()
      const grant = await scene.take(client, resource)
      const elapsedMs = client.clock.monotonicMs() - sentMs
      const leftMs = grant.deadline.remainingMs()
      assert.equal(grant.request.resource, resource)
      assert.ok(grant.token.value > 0n, `The token is ${grant.token.value}.`)
      assert.ok(grant.ttlMs >= scene.longTtlMs(client), `The TTL is ${grant.ttlMs} ms.`)
      assert.ok(leftMs > 0, `The deadline is ${leftMs} ms ahead.`)
      if (client.leases.renewal === 'each') {
        assert.ok(leftMs + elapsedMs < grant.ttlMs, 'The deadline is counted from after the request was sent.')
      }
    },
  },
  {
    promise: 'L1',
    name: 'A held resource is answered `held` to every other request, of the same client and of another.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      await scene.take(one, resource)
      assert.equal(await scene.probe(one, resource), 'held')
      assert.equal(await scene.probe(other, resource), 'held')
    },
  },
  {
    promise: 'L6',
    name: 'A released resource is granted to the next who asks.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      assert.equal(await scene.release(one, await scene.take(one, resource)), 'released')
      assert.equal(await scene.release(other, await scene.take(other, resource)), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'A request that waits is granted at once when the holder releases.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource)
      const waiting = scene.wait(other, resource)
      await scene.queued(one, waiting)
      assert.equal(await scene.release(one, held), 'released')
      const grant = await scene.within(waiting.promise, HOP_MS, 'the grant after the release')
      assert.equal(grant.request.requestId, waiting.request.requestId)
      assert.ok(grant.token.value > held.token.value, 'The token did not grow.')
      assert.equal(await scene.probe(one, resource), 'held')
      assert.equal(await scene.release(other, grant), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L3',
    name: 'A request that is sent again while it holds is told the same grant again, and one release frees it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const request = scene.request(one, resource)
      const first = await scene.takeBy(one, request)
      const again = await scene.takeBy(one, request)
      const waited = await scene.within(one.leases.grant(request), HOP_MS, 'the same grant again')
      assert.equal(again.token.value, first.token.value)
      assert.equal(waited.token.value, first.token.value)
      assert.equal(await scene.release(one, again), 'released')
      assert.equal(await scene.probe(other, resource), 'granted')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'A caller that will not renew gets its whole TTL, also after waiting.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource)
      const waiting = scene.wait(other, resource, { allowProvisional: false })
      await scene.queued(one, waiting)
      await scene.release(one, held)
      const grant = await scene.within(waiting.promise, HOP_MS, 'the grant after the release')
      const leftMs = grant.deadline.remainingMs()
      assert.equal(grant.isProvisional, false)
      assert.ok(leftMs > grant.ttlMs / 4, `Of ${grant.ttlMs} ms only ${leftMs} are left.`)
    },
  },
  {
    promise: 'L6',
    name: 'A provisional grant has its whole TTL after the first renewal.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource)
      const waiting = scene.wait(other, resource, { allowProvisional: true })
      await scene.queued(one, waiting)
      await scene.release(one, held)
      const grant = await scene.within(waiting.promise, HOP_MS, 'the grant after the release')
      assert.ok(grant.deadline.remainingMs() > 0, 'A grant was handed out with nothing left of it.')
      const ttlMs = scene.longTtlMs(other)
      const [outcome] = await scene.within(other.leases.renew([{ grant, ttlMs }]), HOP_MS, 'the renewal')
      assert.equal(outcome?.kind, 'renewed')
      if (outcome?.kind !== 'renewed') return
      assert.ok(outcome.deadline.remainingMs() > outcome.ttlMs / 4, `${outcome.deadline.remainingMs()} ms are left.`)
      assert.ok(outcome.ttlMs >= ttlMs, `The TTL is ${outcome.ttlMs} ms.`)
    },
  },
  {
    promise: 'L6',
    name: '200 resources are granted in parallel, to the first and to those who wait, and nothing is left of them.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resources = Array.from({ length: 200 }, () => scene.resource())
      const outcomes = await scene.within(
        Promise.all(resources.map(resource => one.leases.tryGrant(scene.request(one, resource)))),
        20 * HOP_MS,
        '200 grants',
      )
      const waiting = resources.map(resource => scene.wait(other, resource))
      for (const one200th of waiting) await scene.queued(other, one200th)
      const held = outcomes.flatMap(outcome => (outcome.kind === 'granted' ? [outcome.grant] : []))
      assert.equal(held.length, resources.length)
      const releases = held.map(grant => one.leases.release(grant))
      const released = await scene.within(Promise.all(releases), 20 * HOP_MS, '200 releases')
      assert.deepEqual(new Set(released), new Set(['released']))
      const grants = await scene.within(Promise.all(waiting.map(({ promise }) => promise)), 20 * HOP_MS, '200 more')
      const given = await scene.within(
        Promise.all(grants.map(grant => other.leases.release(grant))),
        20 * HOP_MS,
        'releases',
      )
      assert.deepEqual(new Set(given), new Set(['released']))
      for (const resource of resources.slice(0, 20)) await scene.nothingLeft(resource)
    },
  },
]
