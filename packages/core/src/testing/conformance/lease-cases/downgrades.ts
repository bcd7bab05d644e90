import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import { ClosedError } from '../../../errors.ts'
import type { Grant, LeaseRequest } from '../../../ports/leases.ts'
import { inTime } from '../in-time.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { RequestOptions, Scene } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { READ, WRITE, lastReleased, nowGranted, stillWaiting } from './shared-wishes.ts'

/** A writer that becomes a reader. */
export const downgradeCases: readonly LeaseCase[] = [
  {
    promise: 'L1',
    name: 'A writer becomes a reader with its token, and no writer gets in between, whether it waits or tries.',
    needs: 'modes',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const resource = scene.resource()
      for (let round = 0; round < 10; round += 1) {
        const held = await scene.take(one, resource, WRITE)
        const waiting = await scene.line(other, resource, WRITE)
        const to = scene.request(one, resource, READ)
        const tries = [one, third].map(client => client.leases.tryGrant(scene.request(client, resource, WRITE)))
        const downgrade = downgraded(scene, one, { from: held, to })
        const later = [one, third].map(client => client.leases.tryGrant(scene.request(client, resource, WRITE)))
        const outcomes = await scene.within(Promise.all([...tries, ...later]), HOP_MS, 'an answer')
        for (const { kind } of outcomes) assert.equal(kind, 'held')
        const grant = await downgrade
        assert.ok(grant !== undefined, 'A writer that held could not become a reader.')
        assert.equal(grant.token.value, held.token.value)
        assert.equal(grant.request.requestId, to.requestId)
        assert.ok(grant.deadline.remainingMs() > 0, 'Nothing is left of the grant.')
        assert.equal(waiting.state, 'pending')
        assert.equal(await scene.release(one, grant), 'released')
        const next = await nowGranted(scene, waiting, 'the writer that waits')
        assert.ok(next.token.value > held.token.value, `${next.token.value} after ${held.token.value}.`)
        await scene.release(other, next)
      }
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Readers that wait right behind a writer are granted with it when it becomes a reader; a writer and who is behind it wait.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource(), WRITE)
      const { resource } = held.request
      const first = await scene.line(other, resource, READ)
      const second = await scene.line(third, resource, READ)
      const writer = await scene.line(third, resource, WRITE)
      const last = await scene.line(other, resource, READ)
      const grant = await downgraded(scene, one, { from: held, to: scene.request(one, resource, READ) })
      assert.ok(grant !== undefined)
      const reading = await nowGranted(scene, first, 'the first reader')
      const beside = await nowGranted(scene, second, 'the reader beside it')
      assert.deepEqual([reading.token.value, beside.token.value], [held.token.value, held.token.value])
      await scene.release(other, reading)
      await scene.release(third, beside)
      await stillWaiting(scene, writer, last)
      assert.equal(await scene.release(one, grant), 'released')
      await scene.release(third, await nowGranted(scene, writer, 'the writer'))
      await scene.release(other, await nowGranted(scene, last, 'the last reader'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L1',
    name: 'Beside a writer that has become a reader others read, and none writes until it releases.',
    needs: 'modes',
    body: async scene => {
      const { one, other, resource, grant } = await reader(scene)
      const beside = await scene.take(other, resource, READ)
      assert.equal(await scene.probe(other, resource, WRITE), 'held')
      await scene.release(other, beside)
      assert.equal(await scene.probe(other, resource, WRITE), 'held')
      const info = await scene.within(one.leases.inspect(resource, 'read-write'), HOP_MS, 'the answer')
      assert.deepEqual(
        info.holders.map(({ requestId, mode }) => [requestId, mode]),
        [[grant.request.requestId, 'read']],
      )
      await lastReleased(scene, { by: one, grant, writer: other })
    },
  },
  {
    promise: 'L3',
    name: 'A downgrade that is sent again is told the same grant, and one release ends it.',
    needs: 'modes',
    body: async scene => {
      const { one, other, resource, held, grant } = await reader(scene)
      for (let round = 0; round < 3; round += 1) {
        const again = await downgraded(scene, one, { from: held, to: grant.request })
        assert.deepEqual([again?.token.value, again?.request.requestId], [grant.token.value, grant.request.requestId])
      }
      assert.equal(await scene.release(one, grant), 'released')
      assert.equal(await scene.probe(other, resource, WRITE), 'granted')
      assert.equal(await downgraded(scene, one, { from: held, to: grant.request }), undefined)
      assert.equal(await scene.probe(other, resource, WRITE), 'granted')
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L1',
    name: 'A downgrade that is sent again has all of its time from then on, for the store as for the one who asks.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await inTime(scene, one, async ({ ttlMs, renewing }) => {
        const held = await scene.take(one, scene.resource(), WRITE)
        const { resource } = held.request
        const change = { from: held, to: scene.request(one, resource, { ...READ, ttlMs }) }
        const grant = await renewing(() => downgraded(scene, one, change))
        assert.ok(grant !== undefined, 'A writer that held could not become a reader.')
        for (let round = 0; round < 3; round += 1) {
          await scene.harness.advance(ttlMs / 2)
          const again = await renewing(() => downgraded(scene, one, change))
          assert.ok((again?.deadline.remainingMs() ?? 0) > 0, 'Nothing is left of the grant.')
        }
        assert.equal(await scene.probe(other, resource, WRITE), 'held')
        assert.equal(await scene.release(one, grant), 'released')
        await scene.nothingLeft(resource)
      })
    },
  },
  {
    promise: 'L3',
    name: 'After a downgrade the old grant can be neither renewed nor released, and the new one can.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      await inTime(scene, one, async ({ ttlMs, renewing, over }) => {
        const held = await scene.take(one, scene.resource(), WRITE)
        const { resource } = held.request
        const to = scene.request(one, resource, { ...READ, ttlMs })
        const grant = await renewing(() => downgraded(scene, one, { from: held, to }))
        assert.ok(grant !== undefined, 'A writer that held could not become a reader.')
        assert.equal(await scene.release(one, held), 'lost')
        const batch = [held, grant].map(each => ({ grant: each, ttlMs }))
        for (let round = 0; round < 3; round += 1) {
          await scene.harness.advance(ttlMs / 2)
          const outcomes = await scene.within(
            renewing(() => one.leases.renew(batch)),
            HOP_MS,
            'the renewals',
          )
          assert.deepEqual(
            outcomes.map(({ kind }) => kind),
            ['lost', 'renewed'],
          )
        }
        assert.equal(await scene.probe(other, resource, WRITE), 'held')
        assert.equal(await scene.release(one, grant), 'released')
        over()
        await scene.release(one, grant)
        assert.equal(await scene.probe(other, resource, WRITE), 'granted')
        await scene.nothingLeft(resource)
      })
    },
  },
  {
    promise: 'L3',
    name: 'A grant that is not held any more cannot be downgraded: the answer is undefined, and the successor is left alone.',
    needs: 'modes',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      const released = await scene.take(one, resource, WRITE)
      await scene.release(one, released)
      const again = { from: released, to: scene.request(one, resource, READ) }
      assert.equal(await downgraded(scene, one, again), undefined)
      await scene.nothingLeft(resource)

      const silent = await scene.take(one, resource, { ...WRITE, ttlMs: scene.ttlMs })
      const waiting = await scene.line(other, resource, WRITE)
      const heal = await scene.stopRenewing(one)
      const successor = await scene.within(waiting.promise, 3 * scene.ttlMs + 2 * HOP_MS, 'the lease to lapse')
      await heal()
      const late = one.leases.downgrade(silent, scene.request(one, resource, READ))
      assert.equal(await scene.within(late, 10 * HOP_MS, 'the late downgrade'), undefined)
      assert.equal(await scene.probe(other, resource, READ), 'held')
      await lastReleased(scene, { by: other, grant: successor, writer: other })
    },
  },
  {
    promise: 'L1',
    name: 'A writer that became a reader and fell silent keeps writers out until its deadline, and no longer than its TTL and a second.',
    needs: 'modes',
    body: async scene => {
      const { one, other, resource, grant } = await reader(scene, { ttlMs: 2 * scene.ttlMs })
      const waiting = await scene.line(other, resource, WRITE)
      let leftMs = Number.NaN
      waiting.promise.then(
        () => (leftMs = grant.deadline.remainingMs()),
        () => undefined,
      )
      await scene.stopRenewing(one)
      const limitMs = 2 * scene.ttlMs + 1_000 + scene.harness.slackMs
      const next = await scene.within(waiting.promise, limitMs, 'the writer that waits')
      assert.ok(leftMs <= 0, `It still had ${leftMs} ms when the next was granted.`)
      await scene.release(other, next)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L3',
    name: 'A writer that the store has lost cannot be downgraded.',
    needs: ['modes', 'loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const held = await scene.take(one, scene.resource(), WRITE)
      const { resource } = held.request
      const { loseData } = scene.harness
      if (loseData.kind === 'supported') await loseData.run()
      const to = scene.request(one, resource, READ)
      assert.equal(await downgraded(scene, one, { from: held, to }), undefined)
      const next = await scene.within(scene.wait(other, resource, WRITE).promise, 5 * HOP_MS, 'a writer after the loss')
      assert.ok(next.token.value > held.token.value, `${next.token.value} after ${held.token.value}.`)
      await scene.release(other, next)
    },
  },
  {
    promise: 'L5',
    name: 'A downgrade in a closed backend is rejected with `HF_CLOSED`.',
    needs: 'modes',
    body: async scene => {
      const client = await scene.client()
      const held = await scene.take(client, scene.resource(), WRITE)
      const to = scene.request(client, held.request.resource, READ)
      await scene.release(client, held)
      await scene.within(client.close(), 5 * HOP_MS, 'closing')
      const error = await scene.rejection(client.leases.downgrade(held, to), HOP_MS, 'a downgrade of a closed backend')
      assert.ok(error instanceof ClosedError, `It rejects with ${String(error)}`)
    },
  },
]

interface Change {
  readonly from: Grant
  readonly to: LeaseRequest
}

function downgraded(scene: Scene, client: Backend, { from, to }: Change): Promise<Grant | undefined> {
  return scene.within(client.leases.downgrade(from, to), HOP_MS, `the downgrade of "${to.resource}"`)
}

/** One that has written and reads now. */
async function reader(
  scene: Scene,
  options: RequestOptions = {},
): Promise<{ one: Backend; other: Backend; resource: string; held: Grant; grant: Grant }> {
  const [one, other] = await scene.twoClients()
  const resource = scene.resource()
  const held = await scene.take(one, resource, WRITE)
  const grant = await downgraded(scene, one, { from: held, to: scene.request(one, resource, { ...options, ...READ }) })
  assert.ok(grant !== undefined, 'A writer that held could not become a reader.')
  return { one, other, resource, held, grant }
}
