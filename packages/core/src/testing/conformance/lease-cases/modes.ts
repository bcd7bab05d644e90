import assert from 'node:assert/strict'
import { UnsupportedError } from '../../../errors.ts'
import { acquireLease } from '../../../lease/acquire.ts'
import { kindOf } from '../../../ports/leases.ts'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { READ, WRITE, permit } from './shared-wishes.ts'

/** Which locks one name has: one that is held alone, one for readers and writers, one of permits. */
export const modeCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'A store with exclusive leases only says so, and every wish for another mode is refused with `HF_UNSUPPORTED`.',
    needs: 'exclusive',
    body: async scene => {
      const client = await scene.client()
      assert.equal(client.leases.modes, 'exclusive')
      const held = await scene.take(client, scene.resource())
      const { resource } = held.request
      for (const { mode } of [READ, WRITE, permit(3)]) {
        const asked = acquireLease(client, scene.resource(), { waitMs: 0 }, mode)
        const error = await scene.rejection(asked, HOP_MS, `a wish to ${mode.kind}`)
        assert.ok(error instanceof UnsupportedError, `It rejects with ${String(error)}`)
      }
      const downgrade = client.leases.downgrade(held, scene.request(client, resource, READ))
      const error = await scene.rejection(downgrade, HOP_MS, 'a downgrade')
      assert.ok(error instanceof UnsupportedError, `It rejects with ${String(error)}`)
      assert.equal(await scene.release(client, held), 'released')
    },
  },
  {
    promise: 'L1',
    name: 'Who holds a name alone, its readers and writers, and its permits have nothing to do with each other.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const wishes = [{}, WRITE, permit(1)]
      const grants = []
      for (const wish of wishes) grants.push(await scene.take(one, resource, wish))
      for (const wish of [...wishes, READ]) assert.equal(await scene.probe(other, resource, wish), 'held')
      const waiting: Waiting[] = []
      for (const wish of wishes) waiting.push(await scene.line(other, resource, wish))
      for (const [index, grant] of grants.entries()) {
        assert.equal(await scene.release(one, grant), 'released')
        const next = waiting[index]
        assert.ok(next !== undefined)
        const granted = await scene.within(next.promise, HOP_MS, `the one behind wish ${index}`)
        assert.equal(granted.request.requestId, next.request.requestId)
        for (const later of waiting.slice(index + 1)) assert.equal(later.state, 'pending')
      }
      for (const { promise } of waiting) assert.equal(await scene.release(other, await promise), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L1',
    name: 'A reader, a writer or a permit that is asked for again after its lease was made longer does not get a shorter one.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const wishes = [READ, WRITE, permit(1)]
        const requests = wishes.map(wish => scene.request(one, scene.resource(), { ...wish, ttlMs }))
        const grants = await renewing(() => Promise.all(requests.map(request => scene.takeBy(one, request))))
        // For so long that a slow machine does not matter from here on.
        const renewals = grants.map(grant => ({ grant, ttlMs: scene.longTtlMs(one) }))
        const renewal = renewing(() => one.leases.renew(renewals))
        const outcomes = await scene.within(renewal, HOP_MS, 'the renewals')
        over()
        assert.ok(outcomes.every(({ kind }) => kind === 'renewed'))
        for (const request of requests) await scene.takeBy(one, request)
        await scene.harness.advance(1.5 * ttlMs)
        for (const grant of grants) {
          const { resource, mode } = grant.request
          assert.equal(await scene.probe(other, resource, mode?.kind === 'permit' ? permit(1) : WRITE), 'held')
          assert.equal(await scene.release(one, grant), 'released')
          await scene.nothingLeft(resource)
        }
      })
    },
  },
  {
    promise: 'L7',
    name: '`inspect` shows each lock of a name by itself: its holders with mode, slot and token, and its waiters with mode.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, { ...READ, meta: { purpose: 'to read' } })
      const second = await scene.take(one, resource, READ)
      const writer = await scene.line(other, resource, { ...WRITE, meta: { purpose: 'to write' } })
      const pool = [await scene.take(one, resource, permit(2)), await scene.take(one, resource, permit(2))]
      const third = await scene.line(other, resource, permit(2))

      const info = await scene.within(one.leases.inspect(resource, 'read-write'), HOP_MS, 'the answer')
      assert.equal(info.resource, resource)
      assert.equal(info.holder?.requestId, first.request.requestId)
      assert.deepEqual({ ...info.holder.meta }, { purpose: 'to read' })
      assert.deepEqual(
        info.holders.map(({ requestId, mode, slot, token }) => [requestId, mode, slot, token.value]),
        [first, second].map(({ request, token }) => [request.requestId, 'read', undefined, token.value]),
      )
      assert.deepEqual(
        info.waiters.map(({ requestId, mode, meta }) => [requestId, mode, { ...meta }]),
        [[writer.request.requestId, 'write', { purpose: 'to write' }]],
      )

      const permits = await scene.within(one.leases.inspect(resource, 'permits'), HOP_MS, 'the answer')
      assert.deepEqual(
        permits.holders.map(({ requestId, mode, slot, token }) => [requestId, mode, slot, token.value]),
        pool.map(({ request, slot, token }) => [request.requestId, 'permit', slot, token.value]),
      )
      assert.deepEqual(
        permits.waiters.map(({ requestId, mode }) => [requestId, mode]),
        [[third.request.requestId, 'permit']],
      )
      for (const alone of [await one.leases.inspect(resource), await one.leases.inspect(resource, 'exclusive')]) {
        assert.deepEqual([alone.holder, alone.holders, alone.waiters], [undefined, [], []])
      }

      for (const grant of [first, second, ...pool]) assert.equal(await scene.release(one, grant), 'released')
      const written = await scene.within(writer.promise, HOP_MS, 'the writer')
      const shown = await scene.within(other.leases.inspect(resource, kindOf(WRITE.mode)), HOP_MS, 'the answer')
      assert.deepEqual([shown.holder?.mode, shown.holder?.token.value], ['write', written.token.value])
      await scene.release(other, written)
      await scene.release(other, await scene.within(third.promise, HOP_MS, 'the third permit'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'Closing a backend gives back what it holds in every mode, and rejects its waiters, before it resolves.',
    needs: 'modes',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      for (const { mode } of [READ, permit(1)]) {
        const options = { ttlMs: scene.longTtlMs(one), waitMs: 0 }
        await scene.within(acquireLease(one, resource, options, mode), HOP_MS, `a lease to ${mode.kind}`)
      }
      const gone = await scene.line(one, resource, WRITE)
      const writer = await scene.line(other, resource, WRITE)
      const next = await scene.line(third, resource, permit(1))
      await scene.within(one.close(), 5 * HOP_MS, 'closing')
      assert.equal(gone.state, 'rejected')
      await scene.release(other, await scene.within(writer.promise, HOP_MS, 'the writer behind'))
      await scene.release(third, await scene.within(next.promise, HOP_MS, 'the permit behind'))
      await scene.nothingLeft(resource)
    },
  },
]
