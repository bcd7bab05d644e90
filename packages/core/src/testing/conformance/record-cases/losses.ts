import assert from 'node:assert/strict'
import type { RecordCase } from '../record-case.ts'
import { put } from '../record-changes.ts'

/** A store that lost data says so, and nothing of before is taken for something of after. */
export const lossCases: readonly RecordCase[] = [
  {
    promise: 'R3',
    name: 'A directory that the store lost is missing, and made anew it has another history.',
    needs: ['loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(one, directory, [put('a', '1')])
      const before = await scene.present(other, { directory })
      await scene.able('loseData')(directory)
      assert.equal((await scene.read(other, { directory, unless: before.stamp })).kind, 'missing')
      const { revision } = await scene.committed(one, directory, [put('a', '1', 'absent')])
      assert.notEqual(revision.history, before.revision.history)
      assert.equal(revision.number, 1)
      const after = await scene.present(other, { directory, unless: before.stamp })
      assert.deepEqual(after.revision, revision)
    },
  },
  {
    promise: 'R1',
    name: 'A version of before the store lost its data is never one of after, however often that happens.',
    needs: ['loseData'],
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const versions: string[] = []
      for (let round = 0; round < 5; round += 1) {
        for (let write = 0; write < 3; write += 1) {
          await scene.committed(client, directory, [put('a', 'the same value')])
          const { records } = await scene.present(client, { directory })
          versions.push(records.get('a')?.version ?? '')
        }
        await scene.able('loseData')(directory)
      }
      assert.equal(new Set(versions).size, versions.length, `The versions were ${versions.join(', ')}.`)
      await scene.committed(client, directory, [put('a', 'the same value')])
      for (const version of versions) await scene.refused(client, directory, [put('a', 'x', { version })])
    },
  },
  {
    promise: 'R3',
    name: 'A directory that was restored from a backup has the revision of then, and another commit in the place of the lost one.',
    needs: ['backUp'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const kept = await scene.committed(one, directory, [put('a', 'kept')])
      const restore = await scene.able('backUp')(directory)
      await scene.committed(one, directory, [put('a', 'lost')])
      const lost = await scene.present(other, { directory })
      await restore()
      const back = await scene.present(other, { directory, unless: lost.stamp })
      assert.deepEqual(back.revision, kept.revision)
      assert.deepEqual(await scene.texts(one, directory), { a: 'kept' })
      const stale = lost.records.get('a')?.version ?? ''
      const [conflict] = await scene.refused(one, directory, [put('a', 'x', { version: stale })])
      assert.deepEqual(conflict?.actual, { version: kept.revision.commit })
      const next = await scene.committed(other, directory, [put('a', 'instead', { version: kept.revision.commit })])
      assert.deepEqual([next.revision.history, next.revision.number], [lost.revision.history, lost.revision.number])
      assert.notEqual(next.revision.commit, lost.revision.commit)
      const read = await scene.present(one, { directory, unless: lost.stamp })
      assert.deepEqual(read.revision, next.revision)
    },
  },
  {
    promise: 'R6',
    name: 'After the store lost its data a beat is answered `gone`, and joining again helps.',
    needs: ['loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const owner = scene.owner(one, directory)
      await scene.join(one, owner)
      await scene.able('loseData')(directory)
      assert.deepEqual(await scene.ephemerals(other, directory), {})
      assert.deepEqual(await scene.beat(one, owner), { kind: 'gone' })
      assert.equal(await scene.leave(one, owner), 'lost')
      await scene.join(one, owner)
      assert.deepEqual(await scene.ephemerals(other, directory), { one: 'here' })
      assert.equal(await scene.leave(one, owner), 'left')
      await scene.nothingLeft(directory)
    },
  },
]
