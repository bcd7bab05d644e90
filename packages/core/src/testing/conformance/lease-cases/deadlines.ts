import assert from 'node:assert/strict'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene, Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

const ROUNDS = 20

/** A client's deadline ends before the store's, and the store's does end. */
export const deadlineCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: `Nobody is granted a resource before the deadline of a holder that fell silent, ${ROUNDS} times.`,
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const rounds: { readonly waiting: Waiting; leftMs: number | undefined }[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        const grant = await scene.take(one, scene.resource(), { ttlMs: scene.ttlMs })
        const waiting = scene.wait(other, grant.request.resource)
        const record = { waiting, leftMs: undefined as number | undefined }
        waiting.promise.then(
          () => (record.leftMs = grant.deadline.remainingMs()),
          () => undefined,
        )
        rounds.push(record)
      }
      await scene.stopRenewing(one)
      for (const { waiting } of rounds) await lapsed(scene, waiting)
      for (const { leftMs } of rounds) {
        assert.ok(leftMs !== undefined && leftMs <= 0, `The holder still had ${leftMs} ms when another was granted.`)
      }
    },
  },
  {
    promise: 'L1',
    name: 'A grant that is told again does not seem to last longer than the store keeps it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const request = scene.request(one, scene.resource(), { ttlMs: scene.ttlMs })
      const first = await scene.takeBy(one, request)
      const waiting = scene.wait(other, request.resource)
      await scene.queued(other, waiting)
      await scene.harness.advance(scene.ttlMs / 2)
      const again = await scene.takeBy(one, request)
      await scene.stopRenewing(one)
      await lapsed(scene, waiting)
      for (const grant of [first, again]) {
        const leftMs = grant.deadline.remainingMs()
        assert.ok(leftMs <= 0, `A grant still had ${leftMs} ms when another was granted.`)
      }
    },
  },
  {
    promise: 'L1',
    name: 'A request that is sent again after its lease was made longer does not make it shorter.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const request = scene.request(one, resource, { ttlMs: scene.ttlMs })
      const grant = await scene.takeBy(one, request)
      const renewals = [{ grant, ttlMs: 3 * scene.ttlMs }]
      const [renewed] = await scene.within(one.leases.renew(renewals), HOP_MS, 'the renewal')
      assert.equal(renewed?.kind, 'renewed')
      await scene.takeBy(one, request)
      await scene.harness.advance(1.5 * scene.ttlMs)
      assert.equal(await scene.probe(other, resource), 'held')
      assert.equal(await scene.release(one, grant), 'released')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L1',
    name: 'A grant that came after waiting ends by its deadline before the next is granted.',
    // The first to wait has to be the first to be granted.
    needs: 'fifo',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource())
      const { resource } = held.request
      const second = scene.wait(other, resource, { ttlMs: scene.ttlMs })
      await scene.queued(one, second)
      const last = scene.wait(third, resource)
      await scene.queued(one, last)
      await scene.release(one, held)
      const grant = await scene.within(second.promise, HOP_MS, 'the first waiter')
      assert.ok(grant.deadline.remainingMs() > 0, 'A grant was handed out with nothing left of it.')
      let leftMs = Number.NaN
      last.promise.then(
        () => (leftMs = grant.deadline.remainingMs()),
        () => undefined,
      )
      await scene.stopRenewing(other)
      await lapsed(scene, last)
      assert.ok(leftMs <= 0, `It still had ${leftMs} ms when the next was granted.`)
    },
  },
  {
    promise: 'L6',
    name: 'A holder that fell silent costs those who wait its TTL and no more than a second, and they are served in turn.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource(), { ttlMs: scene.ttlMs })
      const next = scene.wait(other, held.request.resource)
      await scene.queued(one, next)
      const last = scene.wait(third, held.request.resource)
      await scene.queued(one, last)
      const silentAtMs = other.clock.monotonicMs()
      await scene.stopRenewing(one)
      const isNextFirst = scene.harness.ordering === 'fifo'
      const first = isNextFirst
        ? await lapsed(scene, next)
        : await Promise.race([lapsed(scene, next), lapsed(scene, last)])
      const waitedMs = other.clock.monotonicMs() - silentAtMs
      const limitMs = scene.ttlMs + 1_000 + scene.harness.slackMs
      assert.ok(waitedMs <= limitMs, `It took ${waitedMs} ms.`)
      if (!isNextFirst) return
      await scene.release(other, first)
      await scene.within(last.promise, HOP_MS, 'the one behind')
    },
  },
  {
    promise: 'L6',
    name: 'A lease that was renewed for a shorter time than it had goes to the one who waits at its new end.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      if (one.leases.renewal === 'session') return
      const held = await scene.take(one, scene.resource())
      const waiting = await scene.line(other, held.request.resource)
      const { ttlMs } = scene
      const sentMs = one.clock.monotonicMs()
      const [outcome] = await scene.within(one.leases.renew([{ grant: held, ttlMs }]), HOP_MS, 'the renewal')
      assert.ok(outcome?.kind === 'renewed' && outcome.ttlMs === ttlMs)
      const next = await lapsed(scene, waiting)
      const waitedMs = other.clock.monotonicMs() - sentMs
      assert.ok(outcome.deadline.remainingMs() <= 0, 'The holder seems to hold it still.')
      assert.ok(waitedMs <= ttlMs + 1_000 + scene.harness.slackMs, `It took ${waitedMs} ms.`)
      assert.equal(await scene.release(other, next), 'released')
      await scene.nothingLeft(held.request.resource)
    },
  },
  {
    promise: 'L6',
    name: 'A resource whose holder fell silent is free after its TTL for one who only tries.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource(), { ttlMs: scene.ttlMs })
      await scene.stopRenewing(one)
      const isFree = async (): Promise<boolean> => (await scene.probe(other, held.request.resource)) === 'granted'
      await scene.eventually(isFree, 'it was still held', 2 * scene.ttlMs + HOP_MS)
      assert.ok(held.deadline.remainingMs() <= 0, 'The silent holder seems to hold it still.')
      await scene.nothingLeft(held.request.resource)
    },
  },
]

function lapsed(scene: Scene, waiting: Waiting): Promise<Awaited<Waiting['promise']>> {
  return scene.within(waiting.promise, 3 * scene.ttlMs + 2 * HOP_MS, 'the lease to lapse')
}
