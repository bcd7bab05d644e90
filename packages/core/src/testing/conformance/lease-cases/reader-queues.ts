import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { Grant } from '../../../ports/leases.ts'
import { seededRandom } from '../../../random.ts'
import type { LeaseCase } from '../lease-case.ts'
import type { Scene, Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'
import { READ, WRITE, nowGranted, stillWaiting } from './shared-wishes.ts'

const ABORT_ROUNDS = 20
const TURNS_MAX = 60

/** The queue of readers and writers: first come, first served, and readers next to each other together. */
export const readerQueueCases: readonly LeaseCase[] = [
  {
    promise: 'L7',
    name: 'A reader that comes after a waiting writer waits behind it, whether it tries or waits.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource(), READ)
      const { resource } = held.request
      const writer = await scene.line(other, resource, WRITE)
      assert.equal(await scene.probe(third, resource, READ), 'held')
      const reader = await scene.line(third, resource, READ)
      await stillWaiting(scene, writer, reader)
      await scene.release(one, held)
      const written = await nowGranted(scene, writer, 'the writer')
      await stillWaiting(scene, reader)
      await scene.release(other, written)
      await scene.release(third, await nowGranted(scene, reader, 'the reader behind the writer'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Readers next to each other are granted together when the writer before them releases; a writer and who is behind it wait.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const { one, other, third, held, resource } = await writing(scene)
      const first = await scene.line(other, resource, READ)
      const second = await scene.line(third, resource, READ)
      const writer = await scene.line(one, resource, WRITE)
      const last = await scene.line(other, resource, READ)
      assert.equal(await scene.release(one, held), 'released')
      const reading = await nowGranted(scene, first, 'the first reader')
      const beside = await nowGranted(scene, second, 'the reader beside it')
      await stillWaiting(scene, writer, last)
      await scene.release(third, beside)
      await stillWaiting(scene, writer, last)
      await scene.release(other, reading)
      const written = await nowGranted(scene, writer, 'the writer after the last reader')
      await stillWaiting(scene, last)
      await scene.release(one, written)
      await scene.release(other, await nowGranted(scene, last, 'the last reader'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L6',
    name: 'Readers next to each other are granted together when the writer before them falls silent.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const { one, other, third, held, resource } = await writing(scene, 2 * scene.ttlMs)
      const readers = [await scene.line(other, resource, READ), await scene.line(third, resource, READ)]
      const writer = await scene.line(other, resource, WRITE)
      await scene.stopRenewing(one)
      const both = Promise.all(readers.map(({ promise }) => promise))
      const [first, second] = await scene.within(both, 4 * scene.ttlMs + 2 * HOP_MS, 'the readers')
      assert.ok(held.deadline.remainingMs() <= 0, 'The silent writer seems to write still.')
      assert.ok(first !== undefined && second !== undefined)
      await stillWaiting(scene, writer)
      await scene.release(other, first)
      await scene.release(third, second)
      await scene.release(other, await nowGranted(scene, writer, 'the writer behind the readers'))
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L5',
    name: 'A waiting writer that gives up, by abort or by closing its client, lets in the readers behind it at once.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const held = await scene.take(one, scene.resource(), READ)
      const { resource } = held.request
      const abort = new AbortController()
      const aborted = await scene.line(other, resource, { ...WRITE, signal: abort.signal })
      const first = await scene.line(third, resource, READ)
      const closed = await scene.line(other, resource, WRITE)
      const second = await scene.line(third, resource, READ)
      await stillWaiting(scene, aborted, first, closed, second)
      const reason = new Error('changed my mind')
      abort.abort(reason)
      assert.equal(await scene.rejection(aborted.promise, HOP_MS, 'the aborted writer'), reason)
      const reading = await nowGranted(scene, first, 'the reader behind the aborted writer')
      await stillWaiting(scene, closed, second)
      await scene.within(other.close(), 5 * HOP_MS, 'closing a client that waits')
      const beside = await nowGranted(scene, second, 'the reader behind the closed writer')
      assert.equal(await scene.probe(third, resource, READ), 'granted')
      for (const grant of [reading, beside]) await scene.release(third, grant)
      await scene.release(one, held)
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L7',
    name: 'Nobody who only tries gets in before a writer that waits, however readers release.',
    needs: ['modes', 'fifo'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const resource = scene.resource()
      for (let round = 0; round < 10; round += 1) {
        const wish = round % 2 === 0 ? READ : WRITE
        const held = [await scene.take(one, resource, READ), await scene.take(one, resource, READ)]
        const writer = await scene.line(other, resource, WRITE)
        const releases = held.map(grant => one.leases.release(grant))
        const tried = one.leases.tryGrant(scene.request(one, resource, wish))
        const [, , outcome] = await scene.within(Promise.all([...releases, tried]), HOP_MS, 'two releases and a try')
        assert.deepEqual(outcome, { kind: 'held' })
        await scene.release(other, await nowGranted(scene, writer, 'the writer'))
      }
      await scene.nothingLeft(resource)
    },
  },
  {
    promise: 'L5',
    name: `An abort of a reader or writer at the instant of the hand-off leaves nothing, ${ABORT_ROUNDS} times.`,
    needs: ['modes', 'fifo'],
    body: async scene => {
      const clients = await scene.threeClients()
      const random = seededRandom(4_321)
      for (let round = 0; round < ABORT_ROUNDS; round += 1) {
        // Early instants are many: the square puts half of the rounds into the first quarter.
        const turns = Math.floor(random.next() ** 2 * TURNS_MAX)
        await abortAtHandOff(scene, clients, { turns, wish: round % 2 === 0 ? READ : WRITE })
      }
    },
  },
]

async function writing(
  scene: Scene,
  ttlMs?: number,
): Promise<{ one: Backend; other: Backend; third: Backend; held: Grant; resource: string }> {
  const [one, other, third] = await scene.threeClients()
  const wish = ttlMs === undefined ? WRITE : { ...WRITE, ttlMs }
  const held = await scene.take(one, scene.resource(), wish)
  return { one, other, third, held, resource: held.request.resource }
}

async function abortAtHandOff(
  scene: Scene,
  [one, other, third]: readonly [Backend, Backend, Backend],
  { turns, wish }: { readonly turns: number; readonly wish: typeof READ },
): Promise<void> {
  const resource = scene.resource()
  const held = await scene.take(one, resource, WRITE)
  const abort = new AbortController()
  const aborted = await scene.line(other, resource, { ...wish, signal: abort.signal })
  const reader = await scene.line(third, resource, READ)
  const writer = await scene.line(third, resource, WRITE)
  const release = one.leases.release(held)
  await scene.turns(turns)
  abort.abort(new Error('at the hand-off'))
  await giveBackIfGranted(scene, other, aborted)
  assert.equal(await scene.within(release, HOP_MS, 'the release'), 'released')
  const after = `(abort after ${turns} turns)`
  await scene.release(third, await nowGranted(scene, reader, `the reader behind ${after}`))
  await scene.release(third, await nowGranted(scene, writer, `the writer behind ${after}`))
  await scene.nothingLeft(resource)
}

async function giveBackIfGranted(scene: Scene, client: Backend, waiting: Waiting): Promise<void> {
  const settled = waiting.promise.catch(() => undefined)
  const grant = await scene.within(settled, HOP_MS, 'an aborted request')
  if (grant !== undefined) assert.equal(await scene.release(client, grant), 'released')
}
