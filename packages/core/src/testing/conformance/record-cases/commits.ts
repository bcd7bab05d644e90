import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { RecordConflict } from '../../../ports/records.ts'
import type { RecordCase } from '../record-case.ts'
import { asRead, check, erase, put, textOf } from '../record-changes.ts'
import { ANSWER_MS } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS } from '../stage.ts'

const RACES = 30
const FIRST_RACES = 200
const COUNTERS = 4
const COUNTS_EACH = 15

/** A commit happens as a whole or not at all, and only as expected. */
export const commitCases: readonly RecordCase[] = [
  {
    promise: 'R1',
    name: 'A commit writes and deletes several records as one, and its id is the version of what it wrote.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const first = await scene.committed(one, directory, [put('a', '1'), put('b', '1'), put('c', '1')])
      const second = await scene.committed(one, directory, [put('b', '2'), erase('c'), put('d', '2')])
      const { records, revision } = await scene.present(other, { directory })
      assert.deepEqual(revision, second.revision)
      const seen = Object.fromEntries(
        [...records.values()].map(({ id, value, version }) => [id, [textOf(value), version]]),
      )
      const [v1, v2] = [first.revision.commit, second.revision.commit]
      assert.deepEqual(seen, { a: ['1', v1], b: ['2', v2], d: ['2', v2] })
    },
  },
  {
    promise: 'R1',
    name: 'A commit whose expectations hold happens: a version, an absence, a check of either.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const { revision } = await scene.committed(client, directory, [
        put('a', '1', 'absent'),
        put('b', '1'),
        check('z', 'absent'),
      ])
      const seen = { version: revision.commit }
      await scene.committed(client, directory, [put('a', '2', seen), check('b', seen), check('z', 'absent')])
      await scene.committed(client, directory, [erase('b', seen), put('c', '3', 'absent'), erase('z', 'absent')])
      assert.deepEqual(await scene.texts(client, directory), { a: '2', c: '3' })
    },
  },
  {
    promise: 'R1',
    name: 'A commit one of whose expectations does not hold changes nothing, and is told what was expected and what there is.',
    body: conflictsAreNamed,
  },
  {
    promise: 'R1',
    name: 'A version that was read is valid until the next write of that record, and no longer.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(one, directory, [put('a', '1'), put('b', '1')])
      const read = await scene.present(other, { directory })
      await scene.committed(one, directory, [put('b', '2')])
      await scene.committed(other, directory, [put('a', '2', asRead(read.records.get('a')))])
      assert.equal((await scene.refused(other, directory, [put('a', '3', asRead(read.records.get('a')))])).length, 1)
      assert.equal((await scene.refused(other, directory, [erase('b', asRead(read.records.get('b')))])).length, 1)
      assert.deepEqual(await scene.texts(one, directory), { a: '2', b: '2' })
    },
  },
  {
    promise: 'R1',
    name: 'A record that is written with the same value, or deleted and written anew, has another version.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const versions: string[] = []
      for (const changes of [[put('a', 'same')], [put('a', 'same')], [erase('a')], [put('a', 'same')]]) {
        await scene.committed(client, directory, changes)
        const { records } = await scene.present(client, { directory })
        const version = records.get('a')?.version
        if (version !== undefined) versions.push(version)
      }
      assert.equal(new Set(versions).size, 3, `The versions were ${versions.join(', ')}.`)
      for (const version of versions.slice(0, 2)) await scene.refused(client, directory, [put('a', 'x', { version })])
    },
  },
  {
    promise: 'R1',
    name: 'A commit that expects nothing always happens, the deletion of what is not there included.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(one, directory, [erase('a')])
      await scene.committed(one, directory, [put('a', '1')])
      await scene.committed(other, directory, [put('a', '2'), erase('b')])
      const { records, revision } = await scene.present(one, { directory })
      assert.deepEqual([textOf(records.get('a')?.value), records.size, revision.number], ['2', 1, 3])
    },
  },
  {
    promise: 'R1',
    name: `Of commits from three clients that expect the same version exactly one happens, ${RACES} times.`,
    body: raceForOneVersion,
  },
  {
    promise: 'R1',
    name: `Of the first commits of three clients to a new directory exactly one creates the record, ${FIRST_RACES} times.`,
    body: raceToBeFirst,
  },
  {
    promise: 'R1',
    name: 'First commits to different records of a new directory all happen, in one history.',
    body: async scene => {
      const clients = [await scene.client(), await scene.client(), await scene.client()]
      for (let round = 0; round < 10; round += 1) {
        const directory = scene.directory()
        const commits = clients.map((client, index) =>
          scene.committed(client, directory, [put(`record-${index}`, 'x', 'absent')]),
        )
        const revisions = (await Promise.all(commits)).map(({ revision }) => revision)
        assert.equal(new Set(revisions.map(({ history }) => history)).size, 1)
        assert.deepEqual(new Set(revisions.map(({ number }) => number)), new Set([1, 2, 3]))
      }
    },
  },
  {
    promise: 'R1',
    name: `${COUNTERS} clients that count by reading and expecting what they read lose no count.`,
    body: countTogether,
  },
]

async function conflictsAreNamed(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const directory = scene.directory()
  const old = (await scene.committed(one, directory, [put('a', '1'), put('b', '1')])).revision.commit
  const now = (await scene.committed(one, directory, [put('a', '2')])).revision
  const conflicts = await scene.refused(other, directory, [
    put('new', 'x'),
    put('a', 'x', { version: old }),
    erase('b', 'absent'),
    check('c', { version: old }),
    check('d', 'absent'),
  ])
  const expected: readonly RecordConflict[] = [
    { id: 'a', expected: { version: old }, actual: { version: now.commit } },
    { id: 'b', expected: 'absent', actual: { version: old } },
    { id: 'c', expected: { version: old }, actual: 'absent' },
  ]
  const byId = (a: RecordConflict, b: RecordConflict): number => (a.id < b.id ? -1 : 1)
  assert.deepEqual([...conflicts].sort(byId), expected)
  const { revision } = await scene.present(other, { directory })
  assert.deepEqual(revision, now)
  assert.deepEqual(await scene.texts(one, directory), { a: '2', b: '1' })
}

async function raceForOneVersion(scene: RecordScene): Promise<void> {
  const clients = [await scene.client(), await scene.client(), await scene.client()]
  const directory = scene.directory()
  let { revision } = await scene.committed(clients[0] as Backend, directory, [put('a', 'start')])
  for (let round = 0; round < RACES; round += 1) {
    const expect = { version: revision.commit }
    const outcomes = await Promise.all(
      clients.map((client, index) => scene.commit(client, directory, [put('a', `${round}-${index}`, expect)])),
    )
    const winners = outcomes.flatMap((outcome, index) => (outcome.kind === 'committed' ? [{ outcome, index }] : []))
    assert.equal(winners.length, 1, `Round ${round} had ${winners.length} winners.`)
    const [winner] = winners
    assert.ok(winner !== undefined)
    assert.equal(winner.outcome.revision.number, revision.number + 1)
    revision = winner.outcome.revision
    const [reader = clients[0] as Backend] = clients.slice(round % clients.length)
    assert.deepEqual(await scene.texts(reader, directory), { a: `${round}-${winner.index}` })
    for (const outcome of outcomes) {
      if (outcome.kind === 'conflict') assert.deepEqual(outcome.conflicts[0]?.actual, { version: revision.commit })
    }
  }
}

async function raceToBeFirst(scene: RecordScene): Promise<void> {
  const clients = [await scene.client(), await scene.client(), await scene.client()]
  for (let round = 0; round < FIRST_RACES; round += 1) {
    const directory = scene.directory()
    const outcomes = await Promise.all(
      clients.map((client, index) => scene.commit(client, directory, [put('a', `${index}`, 'absent')])),
    )
    const winners = outcomes.flatMap(({ kind }, index) => (kind === 'committed' ? [`${index}`] : []))
    assert.equal(winners.length, 1, `Round ${round} had ${winners.length} winners.`)
    const { records, revision } = await scene.present(clients[round % 3] as Backend, { directory })
    assert.deepEqual([textOf(records.get('a')?.value), revision.number], [winners[0], 1])
  }
}

async function countTogether(scene: RecordScene): Promise<void> {
  const clients = await Promise.all(Array.from({ length: COUNTERS }, () => scene.client()))
  const directory = scene.directory()
  const count = async (client: Backend): Promise<void> => {
    for (let done = 0; done < COUNTS_EACH;) {
      const read = await client.records.read({ directory, ids: ['count'] })
      const record = read.kind === 'present' ? read.records.get('count') : undefined
      const next = String(Number(textOf(record?.value) ?? '0') + 1)
      const changes = [put('count', next, asRead(record))]
      const outcome = await client.records.commit({ directory, commitId: client.records.newId(), changes })
      if (outcome.kind === 'committed') done += 1
    }
  }
  await scene.within(Promise.all(clients.map(count)), 12 * ANSWER_MS, 'all counts')
  const { records, revision } = await scene.present(clients[0] as Backend, { directory })
  const total = COUNTERS * COUNTS_EACH
  assert.deepEqual([textOf(records.get('count')?.value), revision.number], [String(total), total])
  await scene.within(scene.nothingLeft(directory), 2 * HOP_MS, 'nothing to be left')
}
