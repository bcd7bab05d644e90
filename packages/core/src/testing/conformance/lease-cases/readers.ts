import assert from 'node:assert/strict'
import type { Grant, RenewOutcome } from '../../../ports/leases.ts'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { READ, WRITE, lastReleased, nowGranted, stillWaiting } from './shared-wishes.ts'

/** Who may hold beside whom, and for how long. */
export const readerCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'Readers hold one resource together, whoever their clients are, and keep writers out.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, READ)
      const second = await scene.take(one, resource, READ)
      const third = await scene.take(other, resource, READ)
      for (const client of [one, other]) assert.equal(await scene.probe(client, resource, WRITE), 'held')
      for (const grant of [second, first]) {
        assert.equal(await scene.release(one, grant), 'released')
        assert.equal(await scene.probe(one, resource, WRITE), 'held')
        assert.equal(await scene.probe(one, resource, READ), 'granted')
      }
      await lastReleased(scene, { by: other, grant: third, writer: one })
    },
  },
  {
    promise: 'L1',
    name: 'A writer holds alone: neither a reader nor another writer is granted beside it.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const held = await scene.take(one, resource, WRITE)
      assert.equal(held.slot, undefined)
      for (const client of [one, other]) {
        assert.equal(await scene.probe(client, resource, READ), 'held')
        assert.equal(await scene.probe(client, resource, WRITE), 'held')
      }
      const waiting = [scene.wait(other, resource, READ), scene.wait(other, resource, WRITE)]
      await stillWaiting(scene, ...waiting)
      assert.equal(await scene.release(one, held), 'released')
      const next = scene.within(Promise.race(waiting.map(({ promise }) => promise)), HOP_MS, 'the next')
      await scene.release(other, await next)
      const grants = await scene.within(Promise.all(waiting.map(({ promise }) => promise)), HOP_MS, 'both')
      for (const grant of grants) await scene.release(other, grant)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L3',
    name: 'A reader that asks again is told the same grant, also while a writer waits, and one release frees it.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const request = scene.request(one, scene.resource(), READ)
      const grant = await scene.takeBy(one, request)
      const writer = await scene.line(other, request.resource, WRITE)
      const again = await scene.takeBy(one, request)
      assert.equal(again.token.value, grant.token.value)
      const waited = await scene.within(one.leases.grant(request), HOP_MS, 'the same request, as one that may wait')
      assert.equal(waited.token.value, grant.token.value)
      await stillWaiting(scene, writer)
      assert.equal(await scene.release(one, grant), 'released')
      const written = await nowGranted(scene, writer, 'the writer')
      const asked = await scene.takeBy(other, writer.request)
      assert.equal(asked.token.value, written.token.value)
      assert.equal(await scene.release(other, written), 'released')
      await scene.nothingLeft(request.resource)
    },
  },
  {
    promise: 'L3',
    name: "A reader's release and renewal touch its own grant: the others hold on, and a forged one holds nothing.",
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const first = await scene.take(one, resource, READ)
      const second = await scene.take(other, resource, READ)
      assert.equal(await scene.release(one, first), 'released')
      await scene.release(one, first)
      assert.equal(await scene.probe(one, resource, WRITE), 'held')
      const forged: Grant = { ...second, request: { ...second.request, requestId: other.leases.newRequestId() } }
      assert.equal(await scene.release(other, forged), 'lost')
      const batch = [first, forged, second].map(grant => ({ grant, ttlMs: grant.ttlMs }))
      const [gone, stolen] = await scene.within(one.leases.renew(batch.slice(0, 2)), HOP_MS, 'the renewals')
      const [kept] = await scene.within(other.leases.renew(batch.slice(2)), HOP_MS, 'the renewal')
      assert.deepEqual([gone?.kind, stolen?.kind, kept?.kind], ['lost', 'lost', 'renewed'])
      assert.equal(await scene.probe(one, resource, WRITE), 'held')
      await lastReleased(scene, { by: other, grant: second, writer: one })
    },
  },
  {
    promise: 'L3',
    name: 'A reader that is renewed outlives its first TTL, and one beside it that is not ends by its own deadline.',
    needs: 'modes',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      await inTime(scene, one, async ({ ttlMs, renewing }) => {
        const resource = scene.resource()
        const kept = await renewing(() => scene.take(one, resource, { ...READ, ttlMs }))
        const dying = await scene.take(other, resource, { ...READ, ttlMs })
        await scene.stopRenewing(other)
        const renewed = (): Promise<readonly RenewOutcome[]> => one.leases.renew([{ grant: kept, ttlMs }])
        for (let round = 0; round < 5; round += 1) {
          await scene.harness.advance(ttlMs / 2)
          const [outcome] = await scene.within(renewing(renewed), HOP_MS, 'the renewal')
          assert.equal(outcome?.kind, 'renewed', `Renewal ${round + 1}`)
        }
        assert.ok(dying.deadline.remainingMs() <= 0, 'One that fell silent seems to read still.')
        await scene.eventually(
          async () => {
            await renewing(renewed)
            const { holders } = await third.leases.inspect(resource, 'read-write')
            return holders.map(({ requestId }) => requestId).join() === kept.request.requestId
          },
          'the silent reader is still among the holders',
          ttlMs + HOP_MS,
        )
        assert.equal(await scene.probe(third, resource, WRITE), 'held')
        await lastReleased(scene, { by: one, grant: kept, writer: third })
      })
    },
  },
  {
    promise: 'L1',
    name: 'A writer is not granted before the deadlines of all readers that fell silent, nor a reader before that of a writer.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const rounds = []
      for (let round = 0; round < 10; round += 1) {
        const resource = scene.resource()
        const modes = round % 2 === 0 ? [READ, READ] : [WRITE]
        const held: Grant[] = []
        for (const mode of modes) held.push(await scene.take(one, resource, { ...mode, ttlMs: scene.ttlMs }))
        rounds.push(grantAfterSilence(scene, other, held))
      }
      await scene.stopRenewing(one)
      const leftMs = await scene.within(Promise.all(rounds), 3 * scene.ttlMs + 2 * HOP_MS, 'those who wait')
      for (const ms of leftMs) assert.ok(ms <= 0, `A holder still had ${ms} ms when another was granted.`)
    },
  },
  {
    promise: 'L6',
    name: 'A writer waits for all readers: for one that releases and for one that falls silent, whichever is last.',
    needs: 'modes',
    body: async scene => {
      for (const last of ['the silent one', 'the one that releases']) {
        const [dying, living, writing] = await scene.threeClients()
        const resource = scene.resource()
        const releasing = await scene.take(living, resource, READ)
        const silent = await scene.take(dying, resource, { ...READ, ttlMs: 2 * scene.ttlMs })
        const writer = await scene.line(writing, resource, WRITE)
        await scene.stopRenewing(dying)
        if (last === 'the silent one') {
          assert.equal(await scene.release(living, releasing), 'released')
        } else {
          await scene.harness.advance(2 * scene.ttlMs + 1_000)
          await stillWaiting(scene, writer)
          assert.equal(await scene.release(living, releasing), 'released')
          await nowGranted(scene, writer, `the writer after ${last}`)
        }
        const grant = await scene.within(writer.promise, 3 * scene.ttlMs + 2 * HOP_MS, `the writer after ${last}`)
        assert.ok(silent.deadline.remainingMs() <= 0, 'The silent reader seems to read still.')
        assert.equal(await scene.release(writing, grant), 'released')
        await scene.nothingLeft(resource)
      }
    },
  },
]

/** How much the one that had the most time left still had when the next was granted. */
async function grantAfterSilence(
  scene: Scene,
  client: Awaited<ReturnType<Scene['client']>>,
  held: readonly Grant[],
): Promise<number> {
  const [first] = held
  assert.ok(first !== undefined)
  const wish = first.request.mode?.kind === 'read' ? WRITE : READ
  await scene.wait(client, first.request.resource, wish).promise
  return Math.max(...held.map(({ deadline }) => deadline.remainingMs()))
}
