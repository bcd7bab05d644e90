import assert from 'node:assert/strict'
import type { Grant } from '../../../ports/leases.ts'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

/** A grant that is made up: the resource and token of a real one, the request of somebody who never had it. */
function forged(grant: Grant, requestId: string): Grant {
  return { ...grant, request: { ...grant.request, requestId } }
}

/** One client holds and falls silent or idle; another gets the resource after it. */
async function succeeded(scene: Scene): Promise<{ old: Grant; successor: Grant; heal: () => Promise<void> } & Pair> {
  const [one, other] = await scene.twoClients()
  const old = await scene.take(one, scene.resource(), { ttlMs: scene.ttlMs })
  const waiting = scene.wait(other, old.request.resource)
  await scene.queued(other, waiting)
  const heal = await scene.stopRenewing(one)
  const successor = await scene.within(waiting.promise, 2 * scene.ttlMs + 2 * HOP_MS, 'the lease to lapse')
  return { old, successor, heal, one, other }
}

interface Pair {
  readonly one: Awaited<ReturnType<Scene['client']>>
  readonly other: Awaited<ReturnType<Scene['client']>>
}

/** Giving back and renewing touch nothing but one's own. */
export const releaseCases: readonly LeaseCase[] = [
  {
    promise: 'L3',
    name: 'A release that is sent again touches nothing, also when another holds the resource by then.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const old = await scene.take(one, resource)
      assert.equal(await scene.release(one, old), 'released')
      await scene.release(one, old)
      const successor = await scene.take(other, resource)
      await scene.release(one, old)
      assert.equal(await scene.probe(one, resource), 'held')
      assert.equal(await scene.release(other, successor), 'released')
    },
  },
  {
    promise: 'L3',
    name: 'A release by somebody who does not hold is answered `lost` and frees nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const grant = await scene.take(one, resource)
      assert.equal(await scene.release(one, forged(grant, one.leases.newRequestId())), 'lost')
      assert.equal(await scene.release(other, forged(grant, other.leases.newRequestId())), 'lost')
      assert.equal(await scene.probe(other, resource), 'held')
      assert.equal(await scene.release(one, grant), 'released')
    },
  },
  {
    promise: 'L3',
    name: 'A release after the lease lapsed is answered `lost` and does not free the successor.',
    body: releaseAfterLapse,
  },
  {
    promise: 'L3',
    name: 'A renewal makes a lease outlive its first TTL.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await inTime(scene, one, async ({ ttlMs, renewing }) => {
        const grant = await renewing(() => scene.take(one, scene.resource(), { ttlMs }))
        for (let round = 0; round < 3; round += 1) {
          await scene.harness.advance(ttlMs / 2)
          const renewal = renewing(() => one.leases.renew([{ grant, ttlMs }]))
          const [outcome] = await scene.within(renewal, HOP_MS, 'the renewal')
          assert.ok(outcome?.kind === 'renewed', `Renewal ${round + 1}`)
          const leftMs = outcome.deadline.remainingMs()
          assert.ok(leftMs > 0 && leftMs < outcome.ttlMs, `${leftMs} ms of ${outcome.ttlMs} ms are left.`)
        }
        assert.equal(await scene.probe(other, grant.request.resource), 'held')
        assert.equal(await scene.release(one, grant), 'released')
      })
    },
  },
  {
    promise: 'L3',
    name: 'A renewal by somebody who does not hold is answered `lost` and prolongs nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grant = await scene.take(one, scene.resource())
      const stolen = forged(grant, other.leases.newRequestId())
      const [outcome] = await scene.within(
        other.leases.renew([{ grant: stolen, ttlMs: grant.ttlMs }]),
        HOP_MS,
        'an answer',
      )
      assert.equal(outcome?.kind, 'lost')
      assert.equal(await scene.release(one, grant), 'released')
    },
  },
  {
    promise: 'L3',
    name: 'A renewal after the release is answered `lost` and does not take the resource again.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grant = await scene.take(one, scene.resource())
      await scene.release(one, grant)
      const [outcome] = await scene.within(one.leases.renew([{ grant, ttlMs: grant.ttlMs }]), HOP_MS, 'an answer')
      assert.equal(outcome?.kind, 'lost')
      assert.equal(await scene.probe(other, grant.request.resource), 'granted')
      await scene.nothingLeft(grant.request.resource)
    },
  },
  {
    promise: 'L3',
    name: 'A renewal after the lease lapsed is answered `lost` and leaves the successor alone.',
    body: renewalAfterLapse,
  },
  {
    promise: 'L3',
    name: 'A batch of renewals is answered one by one, in order, whatever became of each.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const grants: Grant[] = []
      for (let index = 0; index < 7; index += 1) grants.push(await scene.take(one, scene.resource()))
      const [, gone, , foreign] = grants
      assert.ok(gone !== undefined && foreign !== undefined)
      await scene.release(one, gone)
      const batch = grants.map(grant => (grant === foreign ? forged(grant, other.leases.newRequestId()) : grant))
      const outcomes = await scene.within(
        one.leases.renew(batch.map(grant => ({ grant, ttlMs: grant.ttlMs }))),
        HOP_MS,
        'the renewals',
      )
      const kinds = outcomes.map(({ kind }) => kind)
      assert.deepEqual(kinds, ['renewed', 'lost', 'renewed', 'lost', 'renewed', 'renewed', 'renewed'])
      assert.deepEqual(await scene.within(one.leases.renew([]), HOP_MS, 'an empty batch'), [])
    },
  },
]

async function releaseAfterLapse(scene: Scene): Promise<void> {
  const { one, other, old, successor, heal } = await succeeded(scene)
  assert.ok(old.deadline.remainingMs() <= 0, 'The old lease seems to be valid beside its successor.')
  await heal()
  assert.equal(await scene.within(one.leases.release(old), 10 * HOP_MS, 'the late release'), 'lost')
  assert.equal(await scene.probe(other, old.request.resource), 'held')
  assert.equal(await scene.release(other, successor), 'released')
  await scene.nothingLeft(old.request.resource)
}

async function renewalAfterLapse(scene: Scene): Promise<void> {
  const { one, other, old, successor, heal } = await succeeded(scene)
  await heal()
  const [outcome] = await scene.within(one.leases.renew([{ grant: old, ttlMs: old.ttlMs }]), 10 * HOP_MS, 'an answer')
  assert.equal(outcome?.kind, 'lost')
  assert.equal(await scene.probe(other, old.request.resource), 'held')
  assert.equal(await scene.release(other, successor), 'released')
  await scene.nothingLeft(old.request.resource)
}
