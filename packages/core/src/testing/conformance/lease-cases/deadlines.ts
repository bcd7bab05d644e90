import assert from 'node:assert/strict'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Grant } from '../../../ports/leases.ts'
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
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const request = scene.request(one, scene.resource(), { ttlMs })
        const first = await renewing(() => scene.takeBy(one, request))
        const waiting = scene.wait(other, request.resource)
        let again: Grant | undefined
        let leftMs: readonly number[] = [Number.NaN]
        waiting.promise.then(
          () => (leftMs = [first, again ?? first].map(({ deadline }) => deadline.remainingMs())),
          () => undefined,
        )
        await scene.queued(other, waiting)
        await scene.harness.advance(ttlMs / 2)
        again = await renewing(() => scene.takeBy(one, request))
        over()
        await scene.stopRenewing(one)
        await lapsed(scene, waiting, ttlMs)
        for (const ms of leftMs) assert.ok(ms <= 0, `A grant still had ${ms} ms when another was granted.`)
      })
    },
  },
  {
    promise: 'L1',
    name: 'A request that is sent again after its lease was made longer does not make it shorter.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const request = scene.request(one, scene.resource(), { ttlMs })
        const grant = await renewing(() => scene.takeBy(one, request))
        // For so long that a slow machine does not matter from here on.
        const renewals = [{ grant, ttlMs: scene.longTtlMs(one) }]
        const renewal = renewing(() => one.leases.renew(renewals))
        const [renewed] = await scene.within(renewal, HOP_MS, 'the renewal')
        over()
        assert.equal(renewed?.kind, 'renewed')
        await scene.takeBy(one, request)
        await scene.harness.advance(1.5 * ttlMs)
        assert.equal(await scene.probe(other, request.resource), 'held')
        assert.equal(await scene.release(one, grant), 'released')
        await scene.nothingLeft(request.resource)
      })
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
      // At that moment: a slow machine may come to look at it only when it is over.
      const handedOver = second.promise.then(grant => ({ grant, hadMs: grant.deadline.remainingMs() }))
      await scene.release(one, held)
      const { grant, hadMs } = await scene.within(handedOver, HOP_MS, 'the first waiter')
      assert.ok(hadMs > 0, 'A grant was handed out with nothing left of it.')
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
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const held = await renewing(() => scene.take(one, scene.resource(), { ttlMs }))
        const next = await scene.line(other, held.request.resource)
        const last = await scene.line(third, held.request.resource)
        over()
        const silentAtMs = other.clock.monotonicMs()
        await scene.stopRenewing(one)
        const isNextFirst = scene.harness.ordering === 'fifo'
        const first = isNextFirst
          ? await lapsed(scene, next, ttlMs)
          : await Promise.race([lapsed(scene, next, ttlMs), lapsed(scene, last, ttlMs)])
        const waitedMs = other.clock.monotonicMs() - silentAtMs
        assert.ok(waitedMs <= ttlMs + 1_000 + scene.harness.slackMs, `It took ${waitedMs} ms.`)
        if (!isNextFirst) return
        await scene.release(other, first)
        await scene.within(last.promise, HOP_MS, 'the one behind')
      })
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
      const [outcome] = await scene.within(one.leases.renew([{ grant: held, ttlMs }]), HOP_MS, 'the renewal')
      // The store's time of it began before.
      const answeredMs = one.clock.monotonicMs()
      assert.ok(outcome?.kind === 'renewed' && outcome.ttlMs === ttlMs)
      const next = await lapsed(scene, waiting)
      const waitedMs = other.clock.monotonicMs() - answeredMs
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

function lapsed(scene: Scene, waiting: Waiting, ttlMs: number = scene.ttlMs): Promise<Grant> {
  return scene.within(waiting.promise, 3 * ttlMs + 2 * HOP_MS, 'the lease to lapse')
}
