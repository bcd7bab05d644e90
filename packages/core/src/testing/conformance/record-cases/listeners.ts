import assert from 'node:assert/strict'
import type { RecordCase } from '../record-case.ts'
import { put } from '../record-changes.ts'
import { ANSWER_MS, END_MS_MAX, Ear, NOTICE_MS } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS } from '../stage.ts'

const CLOSE_MS = 5 * HOP_MS

/** Who listens is told of changes, and told when he may have missed some. */
export const listenerCases: readonly RecordCase[] = [
  {
    promise: 'R5',
    name: 'A listener hears `live` first, after the call, and then of each commit, of its own client and of another.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const first = await scene.committed(one, directory, [put('a', '0')])
      const { ear, subscription } = await scene.listening(one, directory)
      // Of what was just before it may hear as well: a hint can take its time.
      const commits = new Set([first.revision.commit])
      for (let round = 1; round <= 5; round += 1) {
        for (const client of [one, other]) {
          const { changed } = ear.heard
          const { revision } = await scene.committed(client, directory, [put('a', `${round}`)])
          commits.add(revision.commit)
          await scene.hears(ear, changed, `commit ${revision.number}`)
        }
      }
      for (const commit of ear.commits) assert.ok(commits.has(commit), `It was told of a commit "${commit}".`)
      subscription.close()
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A listener is never called before `listen` has returned.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      let hasReturned = false
      const early: string[] = []
      const note = (event: string) => (): void => void (hasReturned || early.push(event))
      const listener = { changed: note('changed'), live: note('live'), down: note('down') }
      await scene.committed(client, directory, [put('a', '0')])
      const subscriptions = [client.records.listen(directory, listener), client.records.listen(directory, listener)]
      hasReturned = true
      await scene.harness.advance(50)
      assert.deepEqual(early, [])
      for (const subscription of subscriptions) subscription.close()
    },
  },
  {
    promise: 'R5',
    name: 'Who listens to a missing directory does not make it, and hears of its first commit.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { ear, subscription } = await scene.listening(one, directory)
      assert.equal((await scene.read(other, { directory })).kind, 'missing')
      const { changed } = ear.heard
      await scene.committed(other, directory, [put('a', '1', 'absent')])
      await scene.hears(ear, changed, 'the first commit')
      subscription.close()
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A listener hears of ephemeral records: that one joins, changes, and leaves.',
    body: hearsOfEphemerals,
  },
  {
    promise: 'R5',
    name: 'A listener hears of the end of an ephemeral record that was there before and fell silent later.',
    body: hearsOfTheEnd,
  },
  {
    promise: 'R5',
    name: 'What a listener hears of, a read that is sent then shows.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const reads: Promise<number>[] = []
      const look = async (): Promise<number> => {
        const answer = await one.records.read({ directory })
        return answer.kind === 'present' ? answer.revision.number : 0
      }
      const ear = Object.assign(new Ear(), { changed: () => void reads.push(look()) })
      const subscription = one.records.listen(directory, ear)
      await scene.eventually(async () => ear.heard.live > 0, 'the listener was not told `live`')
      for (let number = 1; number <= 20; number += 1) {
        await scene.committed(other, directory, [put('a', `${number}`)])
        const hasSeen = async (): Promise<boolean> => Math.max(0, ...(await Promise.all(reads))) === number
        await scene.eventually(hasSeen, `no read after a notice showed commit ${number}`)
      }
      subscription.close()
    },
  },
  {
    promise: 'R5',
    name: 'A closed listener hears nothing more, closing it again does nothing, and its neighbours go on hearing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const first = await scene.listening(one, directory)
      const second = await scene.listening(one, directory)
      first.subscription.close()
      first.subscription.close()
      const silent = { ...first.ear.heard }
      const { changed } = second.ear.heard
      await scene.committed(other, directory, [put('a', '1')])
      await scene.hears(second.ear, changed, 'a commit after a neighbour was closed')
      assert.deepEqual(first.ear.heard, silent)
      second.subscription.close()
      await scene.nothingLeft(directory)
      const { ear, subscription } = await scene.listening(one, directory)
      await scene.committed(other, directory, [put('a', '2')])
      await scene.hears(ear, 0, 'a commit after all before were closed')
      subscription.close()
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A listener that is closed at once, or while a notice is on its way, hears nothing.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const ear = new Ear()
      client.records.listen(directory, ear).close()
      await scene.harness.advance(100)
      assert.deepEqual(ear.heard, { changed: 0, live: 0, down: 0 })
      const { ear: late, subscription } = await scene.listening(client, directory)
      const committing = scene.committed(client, directory, [put('a', '1')])
      subscription.close()
      const heard = { ...late.heard }
      await committing
      await scene.harness.advance(100)
      assert.deepEqual(late.heard, heard)
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A listener that throws breaks nothing: others hear, and it is called again.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      let calls = 0
      const fail = (): void => {
        calls += 1
        throw new Error('A listener of the test threw.')
      }
      const thrower = client.records.listen(directory, { changed: fail, live: fail, down: fail })
      const { ear, subscription } = await scene.listening(client, directory)
      for (let round = 0; round < 3; round += 1) {
        const { changed } = ear.heard
        const before = calls
        await scene.committed(client, directory, [put('a', `${round}`)])
        await scene.hears(ear, changed, 'a commit beside a listener that throws')
        await scene.eventually(async () => calls > before, 'the listener that threw was not called again')
      }
      thrower.close()
      subscription.close()
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A closed backend calls no listener any more, and leaves none.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { ear } = await scene.listening(one, directory)
      await scene.within(one.close(), CLOSE_MS, 'closing')
      const heard = { ...ear.heard }
      await scene.committed(other, directory, [put('a', '1')])
      await scene.harness.advance(100)
      assert.deepEqual(ear.heard, heard)
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'After its connection was cut a listener is told `live` again, and hears of what is committed then.',
    needs: ['cut'],
    body: scene => livesAgain(scene, client => scene.able('cut')(client)),
  },
  {
    promise: 'R5',
    name: 'After the session of its client ended a listener is told `live` again, and hears of what is committed then.',
    needs: ['endSession'],
    body: scene => livesAgain(scene, client => scene.able('endSession')(client)),
  },
  {
    promise: 'R5',
    name: 'After a restart of the server a listener is told `live` again, and hears of what is committed then.',
    needs: ['restart'],
    body: scene => livesAgain(scene, () => scene.able('restart')()),
  },
  {
    promise: 'R5',
    name: 'A listener whose link fell silent is told `down`, and `live` again when the link speaks.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { ear, subscription } = await scene.listening(one, directory)
      const heal = await scene.silence(one)
      await scene.eventually(async () => ear.heard.down > 0, 'nobody said `down` over a silent link', 30 * HOP_MS)
      await scene.committed(other, directory, [put('a', 'missed')])
      const { live } = ear.heard
      await heal()
      await scene.eventually(async () => ear.heard.live > live, 'nobody said `live` again', 30 * HOP_MS)
      const { changed } = ear.heard
      await scene.committed(other, directory, [put('a', 'heard')])
      await scene.hears(ear, changed, 'a commit after the link spoke again')
      subscription.close()
      await scene.nothingLeft(directory)
    },
  },
]

async function hearsOfEphemerals(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const directory = scene.directory()
  const { ear, subscription } = await scene.listening(one, directory)
  const owner = scene.owner(other, directory)
  const steps: Readonly<Record<string, () => Promise<unknown>>> = {
    'a join': () => scene.join(other, owner),
    'a change with a beat': () => scene.beat(other, owner, 'there'),
    'a leave': () => scene.leave(other, owner),
  }
  for (const [what, step] of Object.entries(steps)) {
    const { changed } = ear.heard
    await step()
    await scene.hears(ear, changed, what)
  }
  subscription.close()
  await scene.nothingLeft(directory)
}

async function hearsOfTheEnd(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const owner = scene.owner(other, scene.directory())
  await scene.join(other, owner)
  const { ear, subscription } = await scene.listening(one, owner.directory)
  await scene.harness.advance(scene.ttlMs / 2)
  assert.equal((await scene.beat(other, owner)).kind, 'kept')
  const { changed } = ear.heard
  await scene.stopBeating(other)
  const limitMs = scene.ttlMs + END_MS_MAX + NOTICE_MS
  await scene.eventually(async () => ear.heard.changed > changed, 'the listener was not told of the end', limitMs)
  assert.deepEqual(await scene.ephemerals(one, owner.directory), {})
  subscription.close()
}

async function livesAgain(
  scene: RecordScene,
  disturb: (client: Awaited<ReturnType<RecordScene['client']>>) => Promise<void>,
): Promise<void> {
  const [one, other] = await scene.twoClients()
  const directory = scene.directory()
  await scene.committed(other, directory, [put('a', '0')])
  const { ear, subscription } = await scene.listening(one, directory)
  for (let round = 1; round <= 3; round += 1) {
    const { live } = ear.heard
    await disturb(one)
    await scene.eventually(async () => ear.heard.live > live, 'nobody said `live` again', 30 * HOP_MS)
    const { changed } = ear.heard
    const commit = async (): Promise<boolean> => {
      const changes = [put('a', `${round}`)]
      const answered = other.records.commit({ directory, commitId: other.records.newId(), changes })
      return answered.then(
        () => true,
        () => false,
      )
    }
    // The other client may have been disturbed as well.
    await scene.eventually(commit, 'the other client cannot commit', 6 * ANSWER_MS)
    await scene.hears(ear, changed, 'a commit after it was told `live`')
  }
  subscription.close()
  await scene.nothingLeft(directory)
}
