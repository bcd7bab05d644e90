import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { Revision } from '../../../ports/records.ts'
import type { RecordCase } from '../record-case.ts'
import { check, erase, put, textOf, textsOf } from '../record-changes.ts'
import { ANSWER_MS } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'

const WRITES_EACH = 40
const READS = 60

/** What a read shows: one revision, never an older one than was seen, and what is not there is told from what is empty. */
export const readCases: readonly RecordCase[] = [
  {
    promise: 'R3',
    name: 'A directory that nothing was written to is missing, however it is asked for, and asking does not make it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const requests = [{}, { ids: ['a'] }, { ephemerals: true }, { unless: 'some stamp' }]
      for (const request of requests) {
        assert.equal((await scene.read(one, { directory, ...request })).kind, 'missing')
      }
      await scene.refused(one, directory, [check('a', { version: 'none' })])
      assert.equal((await scene.read(other, { directory })).kind, 'missing')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R3',
    name: 'A directory whose records were all deleted is present and empty, and goes on counting.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const first = await scene.committed(one, directory, [put('a', '1'), put('b', '1')])
      await scene.committed(one, directory, [erase('a'), erase('b')])
      const { records, ephemerals, revision } = await scene.present(other, { directory, ephemerals: true })
      assert.deepEqual([records.size, ephemerals.size], [0, 0])
      assert.deepEqual([revision.history, revision.number], [first.revision.history, 2])
    },
  },
  {
    promise: 'R3',
    name: 'Each commit makes the next revision of one history, and its time is the same for all who read it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { revision: first, committedAtMs: startMs } = await scene.committed(one, directory, [put('a', '0')])
      assert.equal(first.number, 1)
      let previousMs = startMs
      for (const changes of [[put('a', '1')], [erase('b')], [check('a', { version: '?' })], [check('b', 'absent')]]) {
        const { revision: before } = await scene.present(other, { directory })
        const commitId = one.records.newId()
        const outcome = await scene.commit(one, directory, changes, { commitId })
        const { revision, committedAtMs } = await scene.present(other, { directory })
        if (outcome.kind === 'conflict') assert.deepEqual(revision, before)
        else {
          assert.deepEqual(revision, { history: first.history, number: before.number + 1, commit: commitId })
          assert.deepEqual([outcome.revision, outcome.committedAtMs], [revision, committedAtMs])
        }
        assert.ok(committedAtMs >= previousMs)
        previousMs = committedAtMs
      }
    },
  },
  {
    promise: 'R3',
    name: 'A read with the stamp of the one before is answered `unchanged` until something is written.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(one, directory, [put('a', '1')])
      for (const request of [{ directory }, { directory, ids: ['a'] }, { directory, ephemerals: true }]) {
        const { stamp, records } = await scene.present(other, request)
        assert.equal((await scene.read(other, { ...request, unless: stamp })).kind, 'unchanged')
        assert.equal((await scene.read(other, { ...request, unless: 'another' })).kind, 'present')
        await scene.committed(one, directory, [put('a', `${textOf(records.get('a')?.value)}+`)])
        const changed = await scene.present(other, { ...request, unless: stamp })
        assert.notEqual(changed.stamp, stamp)
        assert.equal(textOf(changed.records.get('a')?.value), `${textOf(records.get('a')?.value)}+`)
      }
    },
  },
  {
    promise: 'R2',
    name: 'A read of some records shows those that are there, of the same revision.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const { revision } = await scene.committed(client, directory, [put('a', '1'), put('b', '2'), put('c', '3')])
      const some = await scene.present(client, { directory, ids: ['c', 'a', 'not there'] })
      assert.deepEqual(textsOf(some.records), { a: '1', c: '3' })
      assert.deepEqual(some.revision, revision)
      const none = await scene.present(client, { directory, ids: ['not there'] })
      assert.deepEqual([none.records.size, none.revision], [0, revision])
      assert.equal((await scene.present(client, { directory, ids: [] })).records.size, 0)
    },
  },
  {
    promise: 'R2',
    name: 'Directories are apart: what is written to one is not in another.',
    body: async scene => {
      const client = await scene.client()
      const [here, there] = [scene.directory(), scene.directory()]
      await scene.committed(client, here, [put('a', 'here')])
      assert.equal((await scene.read(client, { directory: there })).kind, 'missing')
      await scene.committed(client, there, [put('a', 'there', 'absent'), put('b', 'there')])
      assert.deepEqual(await scene.texts(client, here), { a: 'here' })
      const histories = await Promise.all([here, there].map(directory => scene.present(client, { directory })))
      assert.notEqual(histories[0]?.revision.history, histories[1]?.revision.history)
    },
  },
  {
    promise: 'R2',
    name: 'A read is a snapshot: while two clients write two records together, a third never sees them differ.',
    body: snapshots,
  },
  {
    promise: 'R2',
    name: 'What a client reads is never older than what it was answered before, its own commits included.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      let seenByOther = 0
      for (let round = 1; round <= READS; round += 1) {
        const { revision } = await scene.committed(one, directory, [put('a', `${round}`)])
        const [own, others] = await Promise.all([
          scene.present(one, { directory }),
          scene.present(other, { directory, ids: ['a'] }),
        ])
        assert.deepEqual([own.revision, textOf(own.records.get('a')?.value)], [revision, `${round}`])
        assert.ok(others.revision.number >= seenByOther, `It went from ${seenByOther} to ${others.revision.number}.`)
        assert.equal(textOf(others.records.get('a')?.value), `${others.revision.number}`)
        seenByOther = others.revision.number
      }
    },
  },
  {
    promise: 'R2',
    name: 'Who changes the bytes that he wrote or read does not change the store.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const mine = new Uint8Array([1, 2, 3])
      await scene.committed(client, directory, [{ kind: 'put', id: 'a', value: mine }])
      const owner = scene.owner(client, directory, { value: mine })
      await scene.join(client, owner)
      mine.fill(9)
      for (let round = 0; round < 2; round += 1) {
        const { records, ephemerals } = await scene.present(client, { directory, ephemerals: true })
        for (const value of [records.get('a')?.value, ephemerals.get('one')?.value]) {
          assert.deepEqual([...(value ?? [])], [1, 2, 3])
          value?.fill(9)
        }
      }
      await scene.leave(client, owner)
    },
  },
]

async function snapshots(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const reader = await scene.client()
  const directory = scene.directory()
  await scene.committed(one, directory, [put('a', 'start'), put('b', 'start')])
  let isWriting = true
  const write = async (client: Backend, name: string): Promise<void> => {
    for (let round = 0; round < WRITES_EACH; round += 1) {
      const value = `${name}-${round}`
      const changes = [put('a', value), put('b', value)]
      await client.records.commit({ directory, commitId: client.records.newId(), changes })
    }
  }
  const read = async (): Promise<void> => {
    let previous: Revision | undefined
    while (isWriting) {
      const answer = await reader.records.read({ directory })
      assert.ok(answer.kind === 'present')
      const { records, revision } = answer
      assert.equal(textOf(records.get('a')?.value), textOf(records.get('b')?.value))
      for (const { version } of records.values()) assert.equal(version, revision.commit)
      assert.ok(previous === undefined || revision.number >= previous.number)
      previous = revision
      await scene.turns(1)
    }
  }
  const writing = Promise.all([write(one, 'one'), write(other, 'other')]).finally(() => (isWriting = false))
  await scene.within(Promise.all([writing, read()]), 10 * ANSWER_MS, 'all writes')
  assert.equal((await scene.present(reader, { directory })).revision.number, 1 + 2 * WRITES_EACH)
}
