import assert from 'node:assert/strict'
import { ClosedError } from '../../../errors.ts'
import { acquireLease } from '../../../lease/acquire.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

const CLOSE_MS = 5 * HOP_MS

/** What a client leaves behind when it is closed, and what it answers then. */
export const closingCases: readonly LeaseCase[] = [
  {
    promise: 'L5',
    name: 'A closed backend rejects every request with `HF_CLOSED`, and closing it again does nothing.',
    body: async scene => {
      const client = await scene.client()
      const grant = await scene.take(client, scene.resource())
      await scene.release(client, grant)
      await scene.within(client.close(), CLOSE_MS, 'closing')
      await scene.within(client.close(), HOP_MS, 'closing again')
      const { resource } = grant.request
      const requests: Record<string, () => Promise<unknown>> = {
        tryGrant: () => client.leases.tryGrant(scene.request(client, resource)),
        grant: () => client.leases.grant(scene.request(client, resource)),
        renew: () => client.leases.renew([{ grant, ttlMs: grant.ttlMs }]),
        inspect: () => client.leases.inspect(resource),
        ready: () => client.ready(),
      }
      for (const [name, send] of Object.entries(requests)) {
        const error = await scene.rejection(send(), HOP_MS, `\`${name}\` of a closed backend`)
        assert.ok(error instanceof ClosedError, `\`${name}\` rejects with ${String(error)}`)
      }
      assert.equal(client.health.current.kind, 'closed')
    },
  },
  {
    promise: 'L5',
    name: 'Closing a backend rejects those who wait in it with `HF_CLOSED`, and leaves nothing of them.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource())
      const waiting = scene.wait(other, held.request.resource)
      await scene.queued(one, waiting)
      await scene.within(other.close(), CLOSE_MS, 'closing')
      const error = await scene.rejection(waiting.promise, HOP_MS, 'the request that waited')
      assert.ok(error instanceof ClosedError, `It rejects with ${String(error)}`)
      await scene.release(one, held)
      await scene.nothingLeft(held.request.resource)
    },
  },
  {
    promise: 'L6',
    name: 'Closing a backend ends the leases that are held through it, and gives them back before it resolves.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resources = [scene.resource(), scene.resource(), scene.resource()]
      const leases = []
      for (const resource of resources) {
        const ttlMs = scene.longTtlMs(one)
        leases.push(await scene.within(acquireLease(one, resource, { ttlMs, waitMs: 0 }), HOP_MS, 'a lease'))
      }
      const signals = leases.map(lease => lease.signal)
      await scene.within(one.close(), CLOSE_MS, 'closing')
      for (const signal of signals) {
        assert.equal((signal.reason as { readonly reason?: unknown } | undefined)?.reason, 'closed')
      }
      for (const resource of resources) {
        assert.equal(await scene.probe(other, resource), 'granted')
        await scene.nothingLeft(resource)
      }
    },
  },
  {
    promise: 'L5',
    name: 'Closing a backend waits for what was released just before.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const ttlMs = scene.longTtlMs(one)
      const lease = await scene.within(acquireLease(one, scene.resource(), { ttlMs, waitMs: 0 }), HOP_MS, 'a lease')
      const released = lease.release()
      await scene.within(one.close(), CLOSE_MS, 'closing')
      assert.equal(await scene.within(released, HOP_MS, 'the release'), 'released')
      assert.equal(await scene.probe(other, lease.resource), 'granted')
      await scene.nothingLeft(lease.resource)
    },
  },
  {
    promise: 'L5',
    name: 'Closing a backend whose link fell silent takes 2 s at most: what is held ends, and who waits is rejected.',
    needs: 'silence',
    body: closeInSilence,
  },
]

async function closeInSilence(scene: Scene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const held = await scene.take(other, scene.resource())
  const ttlMs = scene.longTtlMs(one)
  const lease = await scene.within(acquireLease(one, scene.resource(), { ttlMs, waitMs: 0 }), HOP_MS, 'a lease')
  const { signal } = lease
  const waiting = scene.wait(one, held.request.resource)
  await scene.queued(other, waiting)
  await scene.silence(one)
  const asked = scene.wait(one, scene.resource())
  const startMs = one.clock.monotonicMs()
  await scene.within(one.close(), CLOSE_MS, 'closing over a silent link')
  const tookMs = one.clock.monotonicMs() - startMs
  assert.ok(tookMs <= 2_000 + scene.harness.slackMs, `It took ${tookMs} ms.`)
  assert.equal(signal.aborted, true)
  for (const { promise } of [waiting, asked]) {
    const error = await scene.rejection(promise, HOP_MS, 'a request of a closed backend')
    assert.ok(error instanceof ClosedError, `It rejects with ${String(error)}`)
  }
  await scene.release(other, held)
}
