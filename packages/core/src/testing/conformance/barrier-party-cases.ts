import assert from 'node:assert/strict'
import type { Backend } from '../../backend.ts'
import type { Membership } from '../../ports/barriers.ts'
import type { BarrierCase, BarrierScene } from './barrier-scene.ts'
import { ANSWER_MS, END_MS_MAX } from './barrier-scene.ts'
import { Watched } from './stage.ts'

const CROWD = 20
const ROUNDS = 6

/** B3, B4 and B5: parties that enter and leave together. */
export const partyCases: readonly BarrierCase[] = [
  {
    promise: 'B3',
    name: 'Nobody is in before all are there, and then everybody is.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const barrier = scene.barrier()
      const early = [await scene.entering(one, barrier, 3), await scene.entering(other, barrier, 3)]
      await scene.stays(early, 'the third party is not there')
      const last = scene.enter(third, barrier, 3)
      await leaveTogether(
        scene,
        await scene.soon(Promise.all([...early, last].map(({ promise }) => promise)), 'all parties to be in'),
      )
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B3',
    name: `Of ${CROWD} parties that come at the same moment, from three clients, none misses the others, however often.`,
    body: async scene => {
      const clients = await scene.clients(3)
      const barrier = scene.barrier()
      const crowd = Array.from({ length: CROWD }, (_, index) => clients[index % 3] as Backend)
      for (let round = 0; round < 3; round += 1) await leaveTogether(scene, await scene.inside(crowd, barrier))
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B3',
    name: 'One party alone goes in and out by itself.',
    body: async scene => {
      const client = await scene.client()
      const barrier = scene.barrier()
      const [party] = await scene.inside([client], barrier)
      await scene.soon(party?.leave() ?? Promise.reject(new Error('Nobody is in.')), 'the only party to leave')
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B3',
    name: 'Who comes while others are in joins them, and they wait for it when they leave.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const barrier = scene.barrier()
      const parties = await scene.inside([one, other], barrier)
      const late = await scene.soon(scene.enter(third, barrier, 2).promise, 'a late party to be in')
      const leaving = parties.map(party => scene.leaving(party))
      const left = await Promise.all(leaving)
      await scene.stays(left, 'the late party is still in')
      await scene.soon(late.leave(), 'the late party to leave')
      await scene.soon(Promise.all(left.map(({ promise }) => promise)), 'the others to leave')
      await scene.stays([await scene.entering(one, barrier, 2)], 'all have left')
    },
  },
  {
    promise: 'B4',
    name: 'Nobody has left before all are leaving, whoever begins.',
    body: async scene => {
      const clients = await scene.threeClients()
      for (let first = 0; first < 3; first += 1) {
        const barrier = scene.barrier()
        const parties = await scene.inside(clients, barrier)
        const order = [0, 1, 2].map(index => parties[(first + index) % 3] as Membership)
        const early = [await scene.leaving(order[0] as Membership), await scene.leaving(order[1] as Membership)]
        await scene.stays(early, 'the third party is still in')
        const last = (order[2] as Membership).leave()
        await scene.soon(Promise.all([...early.map(({ promise }) => promise), last]), 'all parties to leave')
        await scene.nothingLeft(barrier)
      }
    },
  },
  {
    promise: 'B4',
    name: `Four parties go in and out ${ROUNDS} times, each as fast as it can, and none is a round ahead of the others.`,
    body: async scene => {
      const clients = await scene.clients(4)
      const barrier = scene.barrier()
      const begun = { enter: [0, 0, 0, 0], leave: [0, 0, 0, 0] }
      const allHave = (what: 'enter' | 'leave', round: number): void =>
        assert.ok(
          begun[what].every(count => count > round),
          `One had done ${what} in round ${round} before all began to: ${begun[what].join(', ')}.`,
        )
      const run = async (client: Backend, index: number): Promise<void> => {
        for (let round = 0; round < ROUNDS; round += 1) {
          begun.enter[index] = round + 1
          const party = await scene.enter(client, barrier, 4).promise
          allHave('enter', round)
          // Not all are as fast.
          await scene.turns(((index + round) % 4) * 5)
          begun.leave[index] = round + 1
          await party.leave()
          allHave('leave', round)
        }
      }
      await scene.soon(Promise.all(clients.map(run)), 'all rounds', 2 * ROUNDS * ANSWER_MS)
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B4',
    name: 'Who gives up leaving has left all the same, and the others do not wait for it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const [first, second] = await scene.inside([one, other], barrier)
      assert.ok(first !== undefined && second !== undefined)
      const abort = new AbortController()
      const leaving = await scene.leaving(first, abort.signal)
      const reason = new Error('enough')
      abort.abort(reason)
      assert.equal(await scene.rejection(leaving.promise, 'giving up'), reason)
      await scene.soon(second.leave(), 'the other to leave')
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B5',
    name: 'Who gives up entering does not count, and leaves nothing.',
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const barrier = scene.barrier()
      const abort = new AbortController()
      const entering = await scene.entering(one, barrier, 2, abort.signal)
      const reason = new Error('enough')
      abort.abort(reason)
      assert.equal(await scene.rejection(entering.promise, 'giving up'), reason)
      await scene.nothingLeft(barrier)
      const next = await scene.entering(other, barrier, 2)
      await scene.stays([next], 'the one who gave up does not count')
      const parties = [next.promise, scene.enter(third, barrier, 2).promise]
      await leaveTogether(scene, await scene.soon(Promise.all(parties), 'both parties to be in'))
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B5',
    name: 'A party that falls silent inside counts as gone after its TTL.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const [, party] = await scene.inside([one, other], barrier)
      assert.ok(party !== undefined)
      await scene.silence(one)
      const limitMs = scene.harness.ttlMs + END_MS_MAX + ANSWER_MS
      await scene.soon(party.leave(), 'a party that is left alone to leave', limitMs)
    },
  },
  {
    promise: 'B5',
    name: 'A party that counted as gone does not count again when it is back, before it enters again.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const [gone, party] = await scene.inside([one, other], barrier)
      assert.ok(gone !== undefined && party !== undefined)
      const heal = await scene.silence(one)
      const limitMs = scene.harness.ttlMs + END_MS_MAX + ANSWER_MS
      await scene.soon(party.leave(), 'a party that is left alone to leave', limitMs)
      await heal()
      const next = await scene.entering(other, barrier, 2)
      // For long enough to say that it lives, if it thinks so.
      await scene.harness.advance(scene.harness.ttlMs)
      await scene.stays([next], 'the one that was gone has not entered again')
      await scene.soon(gone.leave(), 'the one that was gone to leave, for whom nobody is in', 2 * ANSWER_MS)
      const parties = [next.promise, scene.enter(one, barrier, 2).promise]
      await leaveTogether(scene, await scene.soon(Promise.all(parties), 'both parties to be in', 2 * ANSWER_MS))
      await scene.nothingLeft(barrier)
    },
  },
  {
    promise: 'B4',
    name: 'Who leaves while the store does not answer waits on, and has left once the others have.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const [first, second] = await scene.inside([one, other], barrier)
      assert.ok(first !== undefined && second !== undefined)
      const heal = await scene.silence(one)
      const leaving = new Watched(first.leave())
      await scene.harness.advance(scene.harness.ttlMs + END_MS_MAX)
      await scene.stays([leaving], 'nobody has told it that the other left')
      await heal()
      await scene.soon(second.leave(), 'the other to leave', 2 * ANSWER_MS)
      await scene.soon(leaving.promise, 'the one that waited to leave', 4 * ANSWER_MS)
    },
  },
  {
    promise: 'B5',
    name: 'Parties that all fell silent inside leave the barrier to others, who have to be as many again.',
    needs: ['silence'],
    body: async scene => {
      const [one, other, third] = await scene.threeClients()
      const fourth = await scene.client()
      const barrier = scene.barrier()
      await scene.inside([one, other], barrier)
      await scene.silence(one)
      await scene.silence(other)
      await scene.harness.advance(scene.harness.ttlMs + END_MS_MAX)
      const early = await scene.entering(third, barrier, 2)
      await scene.stays([early], 'a second one has to come')
      const parties = [early.promise, scene.enter(fourth, barrier, 2).promise]
      await leaveTogether(scene, await scene.soon(Promise.all(parties), 'both parties to be in'))
    },
  },
  {
    promise: 'B5',
    name: 'A party whose connection breaks while it waits to enter is in with the others.',
    needs: ['cut'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const early = await scene.entering(one, barrier, 2)
      await scene.able('cut')(one)
      const parties = [early.promise, scene.enter(other, barrier, 2).promise]
      await leaveTogether(scene, await scene.soon(Promise.all(parties), 'both parties to be in', 6 * ANSWER_MS))
    },
  },
  {
    promise: 'B5',
    name: 'Once its backend is closed a party that waits to enter rejects with `HF_CLOSED`, and does not count.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const barrier = scene.barrier()
      const entering = await scene.entering(one, barrier, 2)
      const rejected = scene.rejection(entering.promise, 'entering through a backend that closes')
      await scene.soon(one.close(), 'a client to close')
      assert.equal(((await rejected) as { readonly code?: string }).code, 'HF_CLOSED')
      await scene.nothingLeft(barrier)
      await scene.stays([await scene.entering(other, barrier, 2)], 'the closed one does not count')
    },
  },
]

async function leaveTogether(scene: BarrierScene, parties: readonly Membership[]): Promise<void> {
  await scene.soon(Promise.all(parties.map(party => party.leave())), 'all parties to leave')
}
