import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { BarrierCase, BarrierScene } from './barrier-scene.ts'

const CROWD = 20
// Connecting again may take some attempts.
const RECONNECTED_MS = 30_000

/** B1 and B2: barriers that are shut and opened. */
export const gateCases: readonly BarrierCase[] = [
  {
    promise: 'B1',
    name: 'A barrier that nobody has shut is open, and nobody waits at it.',
    body: async scene => {
      const client = await scene.client()
      const barrier = scene.barrier()
      assert.equal(await scene.isShut(client, barrier), false)
      await scene.soon(scene.store(client).untilOpen(barrier), 'an open barrier')
      await scene.open(client, barrier)
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B1',
    name: 'Shutting twice is as shutting once, and so is opening, whoever does it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      await scene.shut(one, barrier)
      await scene.shut(other, barrier)
      assert.deepEqual([await scene.isShut(one, barrier), await scene.isShut(other, barrier)], [true, true])
      await scene.open(other, barrier)
      assert.equal(await scene.isShut(one, barrier), false)
      await scene.open(one, barrier)
      assert.equal(await scene.isShut(other, barrier), false)
    },
  },
  {
    promise: 'B1',
    name: 'A barrier stays shut when whoever shut it has gone.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      await scene.shut(one, barrier)
      await scene.soon(one.close(), 'a client to close')
      assert.equal(await scene.isShut(other, barrier), true)
      await scene.open(other, barrier)
    },
  },
  {
    promise: 'B1',
    name: 'Barriers of other names are left alone.',
    body: async scene => {
      const client = await scene.client()
      const [shut, open] = [scene.barrier(), scene.barrier()]
      await scene.shut(client, shut)
      assert.equal(await scene.isShut(client, open), false)
      await scene.open(client, open)
      assert.equal(await scene.isShut(client, shut), true)
      await scene.open(client, shut)
    },
  },
  {
    promise: 'B2',
    name: `${CROWD} who wait at a shut barrier, from two clients, all go on when a third opens it, and none before.`,
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const barrier = scene.barrier()
      await scene.shut(third, barrier)
      const waiting = await Promise.all(
        Array.from({ length: CROWD }, (_, index) => scene.waiting(index % 2 === 0 ? one : other, barrier)),
      )
      await scene.stays(waiting, 'the barrier is shut')
      await scene.open(third, barrier)
      await scene.soon(Promise.all(waiting.map(({ promise }) => promise)), 'an opened barrier')
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B2',
    name: 'Who waits goes on although the barrier is shut again at once, 20 times.',
    body: async scene => {
      const { one, other, barrier } = await shutByOther(scene)
      for (let round = 0; round < 20; round += 1) {
        const waiting = await scene.waiting(one, barrier)
        const store = scene.store(other)
        await scene.soon(
          store.open(barrier).then(() => store.shut(barrier)),
          'a barrier to be opened and shut',
        )
        await scene.soon(waiting.promise, `a barrier that was open for a moment, in round ${round}`)
      }
      await scene.stays([await scene.waiting(one, barrier)], 'the barrier is shut')
      await scene.open(other, barrier)
    },
  },
  {
    promise: 'B2',
    name: 'Who gives up rejects with the reason of the signal, and leaves nothing; the others wait on.',
    body: async scene => {
      const { one, other, barrier } = await shutByOther(scene)
      const abort = new AbortController()
      const leaving = await scene.waiting(one, barrier, abort.signal)
      const staying = await scene.waiting(one, barrier)
      const reason = new Error('enough')
      abort.abort(reason)
      assert.equal(await scene.rejection(leaving.promise, 'giving up'), reason)
      await scene.stays([staying], 'the barrier is shut')
      await scene.open(other, barrier)
      await scene.soon(staying.promise, 'an opened barrier')
      const late = scene.store(one).untilOpen(barrier, { signal: AbortSignal.abort(reason) })
      assert.equal(await scene.rejection(late, 'a signal that has aborted already'), reason)
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B2',
    name: 'Who waits goes on although the connection broke while the barrier was opened.',
    needs: ['cut', 'silence'],
    body: async scene => {
      const { one, other, barrier } = await shutByOther(scene)
      const waiting = await scene.waiting(one, barrier)
      const heal = await scene.silence(one)
      await scene.open(other, barrier)
      await scene.able('cut')(one)
      await heal()
      await scene.soon(waiting.promise, 'a barrier that was opened behind a broken connection', RECONNECTED_MS)
    },
  },
  {
    promise: 'B2',
    name: 'Once its backend is closed a wait rejects with `HF_CLOSED`, and so does the next.',
    body: async scene => {
      const { one, other, barrier } = await shutByOther(scene)
      const waiting = await scene.waiting(one, barrier)
      const rejected = scene.rejection(waiting.promise, 'a wait through a backend that closes')
      await scene.soon(one.close(), 'a client to close')
      assert.equal(((await rejected) as { readonly code?: string }).code, 'HF_CLOSED')
      const late = await scene.rejection(scene.store(one).untilOpen(barrier), 'a wait through a closed backend')
      assert.equal((late as { readonly code?: string }).code, 'HF_CLOSED')
      await scene.open(other, barrier)
    },
  },
]

/** Two clients, and a barrier that the second has shut. */
async function shutByOther(scene: BarrierScene): Promise<{ one: Backend; other: Backend; barrier: string }> {
  const [one, other] = await scene.twoClients()
  const barrier = scene.barrier()
  await scene.shut(other, barrier)
  return { one, other, barrier }
}
