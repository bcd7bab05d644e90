import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import { HoldfastError } from '../../../errors.ts'
import type { BeatOutcome, EphemeralRequest } from '../../../ports/records.ts'
import type { RecordCase } from '../record-case.ts'
import { bytesOf, put, textsOf } from '../record-changes.ts'
import { END_MS_MAX } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS } from '../stage.ts'

const CROWD = 20

/** Records that live as long as somebody keeps them. */
export const ephemeralCases: readonly RecordCase[] = [
  {
    promise: 'R6',
    name: 'Who joins is seen by those who ask for ephemeral records, with his value and owner, until he leaves.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const owner = scene.owner(one, directory)
      await scene.join(one, owner)
      const read = await scene.present(other, { directory, ephemerals: true })
      const seen = read.ephemerals.get('one')
      assert.deepEqual([seen?.id, seen?.owner, seen?.value], ['one', owner.owner, owner.value])
      assert.deepEqual([read.records.size, read.ephemerals.size], [0, 1])
      assert.equal((await scene.present(other, { directory })).ephemerals.size, 0)
      assert.equal(await scene.leave(one, owner), 'left')
      assert.deepEqual(await scene.ephemerals(other, directory), {})
      assert.equal(await scene.leave(one, owner), 'lost')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R3',
    name: 'A directory that has only had ephemeral records is at number 0, and its commit is its history.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const owner = scene.owner(one, directory)
      await scene.join(one, owner)
      const { revision } = await scene.present(other, { directory })
      assert.deepEqual([revision.number, revision.commit], [0, revision.history])
      const first = await scene.committed(other, directory, [put('a', '1', 'absent')])
      assert.deepEqual([first.revision.history, first.revision.number], [revision.history, 1])
      await scene.leave(one, owner)
    },
  },
  {
    promise: 'R6',
    name: 'Ephemeral records come, change and go without a commit: the revision stays, and the stamp of those who ask for them changes.',
    body: stampsFollow,
  },
  {
    promise: 'R6',
    name: 'An ephemeral record that is kept by beats outlives its TTL many times.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      let { deadline } = await scene.join(one, owner)
      for (let beat = 0; beat < 10; beat += 1) {
        await scene.harness.advance(scene.ttlMs / 3)
        assert.ok(deadline.remainingMs() > 0, 'Its time was over before the next beat.')
        const outcome = await scene.beat(one, owner)
        assert.ok(outcome.kind === 'kept', `A beat was answered \`${outcome.kind}\`.`)
        assert.ok(outcome.deadline.remainingMs() <= outcome.ttlMs)
        deadline = outcome.deadline
        assert.deepEqual(await scene.ephemerals(other, owner.directory), { one: 'here' })
      }
      await scene.leave(one, owner)
      await scene.nothingLeft(owner.directory)
    },
  },
  {
    promise: 'R6',
    name: 'An ephemeral record whose owner fell silent is there until his deadline, and gone within its TTL and 2 s.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      const { deadline, ttlMs } = await scene.join(one, owner)
      assert.ok(ttlMs <= scene.ttlMs, `Its TTL is ${ttlMs} ms.`)
      await scene.stopBeating(one)
      const startMs = other.clock.monotonicMs()
      for (;;) {
        const seen = await scene.ephemerals(other, owner.directory)
        // Asked after the answer: what is missing now was missing then.
        if (deadline.remainingMs() <= 0) break
        assert.deepEqual(seen, { one: 'here' }, `It was gone ${deadline.remainingMs()} ms before its deadline.`)
        // Looks right before the deadline as well.
        await scene.harness.advance(Math.max(1, Math.min(scene.ttlMs / 50, deadline.remainingMs() - 1)))
      }
      await gone(scene, other, owner)
      const tookMs = other.clock.monotonicMs() - startMs
      assert.ok(tookMs <= ttlMs + END_MS_MAX + scene.harness.slackMs, `It was gone after ${tookMs} ms.`)
    },
  },
  {
    promise: 'R6',
    name: 'A beat after the record ended is answered `gone`, and joining again brings it back.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      await scene.join(one, owner)
      await ended(scene, { client: one, other, owner })
      const answered = await beatAnswer(scene, one, owner)
      assert.deepEqual(answered, { kind: 'gone' })
      assert.deepEqual(await scene.ephemerals(other, owner.directory), {})
      assert.equal(await scene.leave(one, owner), 'lost')
      const { deadline } = await scene.join(one, owner)
      assert.ok(deadline.remainingMs() > 0)
      assert.deepEqual(await scene.ephemerals(other, owner.directory), { one: 'here' })
      assert.equal((await scene.beat(one, owner)).kind, 'kept')
      assert.equal(await scene.leave(one, owner), 'left')
      await scene.nothingLeft(owner.directory)
    },
  },
  {
    promise: 'R6',
    name: 'A beat with a value changes it, one without leaves it, and joining again with the same owner is as a beat with a value.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      await scene.join(one, owner)
      assert.equal((await scene.beat(one, owner, 'second')).kind, 'kept')
      assert.equal((await scene.beat(one, owner)).kind, 'kept')
      assert.deepEqual(await scene.ephemerals(other, owner.directory), { one: 'second' })
      await scene.join(one, { ...owner, value: bytesOf('third') })
      assert.deepEqual(await scene.ephemerals(other, owner.directory), { one: 'third' })
      assert.equal(await scene.leave(one, owner), 'left')
    },
  },
  {
    promise: 'R6',
    name: 'A new owner takes the place of one who is still there, and nothing that the old one says touches it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      for (const heir of [other, one]) {
        const old = scene.owner(one, scene.directory())
        await scene.join(one, old)
        const next = scene.owner(heir, old.directory, { value: bytesOf('next') })
        await scene.join(heir, next)
        for (const value of [undefined, 'late']) {
          assert.deepEqual(await scene.beat(one, old, value), { kind: 'replaced' })
        }
        assert.equal(await scene.leave(one, old), 'lost')
        const { ephemerals } = await scene.present(other, { directory: old.directory, ephemerals: true })
        assert.deepEqual(textsOf(ephemerals), { one: 'next' })
        assert.equal(ephemerals.get('one')?.owner, next.owner)
        assert.equal((await scene.beat(heir, next)).kind, 'kept')
        assert.equal(await scene.leave(heir, next), 'left')
        await scene.nothingLeft(old.directory)
      }
    },
  },
  {
    promise: 'R6',
    name: 'The beats of a replaced owner do not keep his successor alive.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const third = await scene.client()
      const old = scene.owner(one, scene.directory())
      await scene.join(one, old)
      await scene.join(other, scene.owner(other, old.directory))
      await scene.stopBeating(other)
      const startMs = third.clock.monotonicMs()
      const isGone = async (): Promise<boolean> => {
        await scene.beat(one, old)
        return Object.keys(await scene.ephemerals(third, old.directory)).length === 0
      }
      await scene.eventually(isGone, 'the successor is still there', 2 * scene.ttlMs + END_MS_MAX + HOP_MS)
      const tookMs = third.clock.monotonicMs() - startMs
      assert.ok(tookMs <= scene.ttlMs + END_MS_MAX + 2 * scene.harness.slackMs, `It was gone after ${tookMs} ms.`)
    },
  },
  {
    promise: 'R6',
    name: `${CROWD} owners of two clients are all seen, and one who leaves takes nobody with him.`,
    body: async scene => {
      const clients = await scene.twoClients()
      const directory = scene.directory()
      const owners = Array.from({ length: CROWD }, (_, index) => {
        const client = clients[index % 2] as Backend
        return { client, owner: scene.owner(client, directory, { id: `id-${index}`, value: bytesOf(`${index}`) }) }
      })
      await Promise.all(owners.map(({ client, owner }) => scene.join(client, owner)))
      const expected = Object.fromEntries(owners.map(({ owner }, index) => [owner.id, `${index}`]))
      assert.deepEqual(await scene.ephemerals(clients[0], directory), expected)
      for (const [index, { client, owner }] of owners.entries()) {
        assert.equal(await scene.leave(client, owner), 'left')
        const left = Object.keys(await scene.ephemerals(clients[1], directory))
        assert.equal(left.length, CROWD - index - 1)
      }
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R6',
    name: 'A record and an ephemeral record may have the same id, and leave each other alone.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const owner = scene.owner(one, directory, { id: 'same' })
      await scene.join(one, owner)
      await scene.committed(other, directory, [put('same', 'record', 'absent')])
      const { records, ephemerals } = await scene.present(other, { directory, ids: ['same'], ephemerals: true })
      assert.deepEqual([textsOf(records), textsOf(ephemerals)], [{ same: 'record' }, { same: 'here' }])
      assert.equal(await scene.leave(one, owner), 'left')
      assert.deepEqual(await scene.texts(one, directory), { same: 'record' })
    },
  },
  {
    promise: 'R6',
    name: 'Who names no TTL gets one that suits the store, and is told it.',
    body: async scene => {
      const client = await scene.client()
      const owner = scene.owner(client, scene.directory(), { ttlMs: undefined })
      const { deadline, ttlMs } = await scene.join(client, owner)
      assert.ok(ttlMs >= 1_000 && deadline.remainingMs() > 0 && deadline.remainingMs() < ttlMs)
      const outcome = await scene.beat(client, owner)
      assert.ok(outcome.kind === 'kept' && outcome.ttlMs === ttlMs)
      await scene.leave(client, owner)
    },
  },
  {
    promise: 'R6',
    name: 'The ephemeral records of a client that was closed end by their TTL, like those of one that died.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      await scene.join(one, owner)
      await scene.within(one.close(), 5 * HOP_MS, 'closing')
      await gone(scene, other, owner)
      await scene.nothingLeft(owner.directory)
    },
  },
  {
    promise: 'R6',
    name: 'After its session ended an owner hears `gone`, and joining again brings it back.',
    needs: ['endSession'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const owner = scene.owner(one, scene.directory())
      await scene.join(one, owner)
      await scene.able('endSession')(one)
      assert.deepEqual(await beatAnswer(scene, one, owner), { kind: 'gone' })
      await gone(scene, other, owner)
      await scene.join(one, owner)
      assert.deepEqual(await scene.ephemerals(other, owner.directory), { one: 'here' })
      assert.equal(await scene.leave(one, owner), 'left')
    },
  },
]

async function stampsFollow(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const third = await scene.client()
  const directory = scene.directory()
  const { revision } = await scene.committed(one, directory, [put('a', '1')])
  const owner = scene.owner(one, directory)
  const plain = await scene.present(other, { directory })
  let { stamp } = await scene.present(other, { directory, ephemerals: true })
  const silent = scene.owner(third, directory, { id: 'silent' })
  const steps: Readonly<Record<string, () => Promise<unknown>>> = {
    'a join': () => scene.join(one, owner),
    'another value': () => scene.beat(one, owner, 'there'),
    'a leave': () => scene.leave(one, owner),
    'the join of one who falls silent': () => scene.join(third, silent),
    'its end': () => ended(scene, { client: third, other, owner: silent }),
  }
  for (const [what, step] of Object.entries(steps)) {
    await step()
    const changed = await scene.present(other, { directory, ephemerals: true, unless: stamp })
    assert.notEqual(changed.stamp, stamp, `After ${what} the stamp is the same.`)
    assert.deepEqual(changed.revision, revision, `After ${what} the revision is another.`)
    stamp = changed.stamp
    assert.equal((await scene.read(other, { directory, ephemerals: true, unless: stamp })).kind, 'unchanged')
    assert.equal((await scene.read(other, { directory, unless: plain.stamp })).kind, 'unchanged')
  }
}

/** Lets the time of a record run out. A session's client may speak again afterwards. */
async function ended(
  scene: RecordScene,
  { client, other, owner }: { readonly client: Backend; readonly other: Backend; readonly owner: EphemeralRequest },
): Promise<void> {
  const heal = client.leases.renewal === 'session' ? await scene.silence(client) : undefined
  await gone(scene, other, owner)
  await heal?.()
}

async function gone(scene: RecordScene, client: Backend, owner: EphemeralRequest): Promise<void> {
  const isGone = async (): Promise<boolean> => !(owner.id in (await scene.ephemerals(client, owner.directory)))
  const limitMs = scene.ttlMs + END_MS_MAX + HOP_MS
  await scene.eventually(isGone, `the ephemeral record "${owner.id}" is still there`, limitMs)
}

/** A client that has just lost its session may need a moment before it is answered at all. */
async function beatAnswer(scene: RecordScene, client: Backend, owner: EphemeralRequest): Promise<BeatOutcome> {
  let answer: BeatOutcome | undefined
  const isAnswered = async (): Promise<boolean> => {
    answer = await scene.beat(client, owner).catch((error: unknown) => {
      if (error instanceof HoldfastError && error.code === 'HF_UNAVAILABLE') return undefined
      throw error
    })
    return answer !== undefined
  }
  await scene.eventually(isAnswered, 'a beat is not answered', 30 * HOP_MS)
  return answer as BeatOutcome
}
