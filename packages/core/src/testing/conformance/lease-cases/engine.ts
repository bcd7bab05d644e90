import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import { LeaseLostError, WaitTimeoutError } from '../../../errors.ts'
import { acquireLease } from '../../../lease/acquire.ts'
import type { Lease } from '../../../lease/lease.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

/** What a holder is told, and when: the store together with the lease engine. */
export const engineCases: readonly LeaseCase[] = [
  {
    promise: 'L4',
    name: 'The signal of a lease that is not renewed fires by its deadline, before another can be granted.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const sentMs = one.clock.monotonicMs()
      const lease = await acquired(scene, one, { renew: false })
      const lost = firstAbort(one, lease)
      const waiting = scene.wait(other, lease.resource)
      let isHeldStill: boolean | undefined
      waiting.promise.then(
        () => (isHeldStill = lease.remainingMs() > 0),
        () => undefined,
      )
      await scene.within(lost, 2 * scene.ttlMs + HOP_MS, 'the signal')
      const { atMs, reason } = await lost
      assert.ok(atMs - sentMs <= scene.ttlMs + scene.harness.slackMs, `It fired after ${atMs - sentMs} ms.`)
      assert.ok(reason instanceof LeaseLostError && reason.reason === 'expired', String(reason))
      assert.equal(lease.remainingMs(), 0)
      assert.throws(() => lease.assertHeld(), { code: 'HF_LEASE_LOST' })
      const grant = await scene.within(waiting.promise, scene.ttlMs + 2 * HOP_MS, 'the next')
      assert.equal(isHeldStill, false)
      assert.equal(await scene.within(lease.release(), HOP_MS, 'the release'), 'lost')
      assert.equal(await scene.probe(one, lease.resource), 'held')
      await scene.release(other, grant)
    },
  },
  {
    promise: 'L4',
    name: 'After a stall of the event loop a lease that lapsed in it says so at once, and the signal follows.',
    body: async scene => {
      const client = await scene.client()
      const lease = await acquired(scene, client, { renew: false })
      const { signal } = lease
      scene.harness.stall(scene.ttlMs + 10)
      assert.equal(lease.remainingMs(), 0)
      assert.throws(() => lease.token, { code: 'HF_LEASE_LOST' })
      assert.throws(() => lease.assertHeld(), { code: 'HF_LEASE_LOST' })
      await scene.harness.advance(1)
      assert.equal(signal.aborted, true)
    },
  },
  {
    promise: 'L4',
    name: 'The signal alone fires in the first timer phase after a stall, when nobody asks.',
    body: async scene => {
      const client = await scene.client()
      const lease = await acquired(scene, client, { renew: false })
      const { signal } = lease
      scene.harness.stall(scene.ttlMs + 10)
      await scene.harness.advance(1)
      assert.equal(signal.aborted, true)
    },
  },
  {
    promise: 'L4',
    name: 'A lease that is renewed by itself stays held for many TTLs, and its signal never fires once it is released.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const lease = await acquired(scene, one, { renew: true })
      const { signal } = lease
      for (let round = 0; round < 8; round += 1) {
        await scene.harness.advance(scene.ttlMs / 2)
        lease.assertHeld()
        assert.ok(lease.remainingMs() <= lease.ttlMs)
        assert.equal(await scene.probe(other, lease.resource), 'held')
      }
      assert.equal(await scene.within(lease.release(), HOP_MS, 'the release'), 'released')
      await scene.harness.advance(scene.ttlMs * 1.5)
      assert.equal(signal.aborted, false)
      assert.equal(await scene.probe(other, lease.resource), 'granted')
      await scene.nothingLeft(lease.resource)
    },
  },
  {
    promise: 'L6',
    name: 'A lease that came after waiting is renewed to its whole TTL, and stays held.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource())
      const asked = acquireLease(other, held.request.resource, { ttlMs: scene.ttlMs })
      await scene.harness.advance(10)
      await scene.release(one, held)
      const lease = await scene.within(asked, HOP_MS, 'the lease')
      for (let round = 0; round < 4; round += 1) {
        await scene.harness.advance(scene.ttlMs / 2)
        lease.assertHeld()
        assert.equal(await scene.probe(one, lease.resource), 'held')
      }
      assert.equal(await scene.within(lease.release(), HOP_MS, 'the release'), 'released')
    },
  },
  {
    promise: 'L5',
    name: 'One who waited for long enough is refused with `HF_WAIT_TIMEOUT`, and nothing is left of the request.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource())
      // Connects: on a busy machine that alone can take as long as the wait.
      await other.leases.inspect(held.request.resource)
      const asked = acquireLease(other, held.request.resource, { waitMs: 50 })
      const error = await scene.rejection(asked, HOP_MS, 'the end of the wait')
      assert.ok(error instanceof WaitTimeoutError && error.waitMs === 50, String(error))
      await scene.eventually(async () => {
        const { waiters } = await one.leases.inspect(held.request.resource)
        return waiters.length === 0
      }, 'the request is still in the queue')
      assert.equal(await scene.release(one, held), 'released')
      await scene.nothingLeft(held.request.resource)
    },
  },
  {
    promise: 'L4',
    name: 'The signal of a holder whose link fell silent fires by the deadline, and nobody else is granted before.',
    needs: 'silence',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const lease = await acquired(scene, one, { renew: true })
      const lost = firstAbort(one, lease)
      const waiting = scene.wait(other, lease.resource)
      await scene.queued(other, waiting)
      await scene.silence(one)
      const silentMs = one.clock.monotonicMs()
      let isHeldStill: boolean | undefined
      waiting.promise.then(
        () => (isHeldStill = lease.remainingMs() > 0),
        () => undefined,
      )
      await scene.within(lost, 2 * scene.ttlMs + HOP_MS, 'the signal')
      const { atMs } = await lost
      assert.ok(atMs - silentMs <= scene.ttlMs + scene.harness.slackMs, `It fired after ${atMs - silentMs} ms.`)
      await scene.within(waiting.promise, scene.ttlMs + 2 * HOP_MS, 'the next')
      assert.equal(isHeldStill, false)
    },
  },
  {
    promise: 'L3',
    name: 'A release over a silent link settles by the deadline of the lease.',
    needs: 'silence',
    body: async scene => {
      const client = await scene.client()
      const lease = await acquired(scene, client, { renew: true })
      await scene.silence(client)
      const leftMs = lease.remainingMs()
      await scene.within(lease.release(), leftMs + scene.harness.slackMs, 'the release')
    },
  },
]

function acquired(scene: Scene, client: Backend, { renew }: { readonly renew: boolean }): Promise<Lease> {
  const options = { ttlMs: scene.ttlMs, waitMs: 0, renew }
  return scene.within(acquireLease(client, scene.resource(), options), HOP_MS, 'a lease')
}

/** When the signal fires, and with what. */
function firstAbort(client: Backend, lease: Lease): Promise<{ readonly atMs: number; readonly reason: unknown }> {
  return new Promise(resolve => {
    const tell = (): void => resolve({ atMs: client.clock.monotonicMs(), reason: lease.signal.reason as unknown })
    lease.signal.addEventListener('abort', tell, { once: true })
  })
}
