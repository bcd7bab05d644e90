import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import { HoldfastError } from '../../../errors.ts'
import type { RecordCase } from '../record-case.ts'
import { erase, put } from '../record-changes.ts'
import type { Committed, RecordScene } from '../record-scene.ts'

/** A commit that is sent again with its id happens once. */
export const repeatCases: readonly RecordCase[] = [
  {
    promise: 'R4',
    name: 'A commit that is sent again is answered the same, and happens once, also where it expected absence.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const commitId = client.records.newId()
      const changes = [put('a', '1', 'absent')]
      const first = await scene.committed(client, directory, changes, { commitId })
      for (let again = 0; again < 3; again += 1) {
        assert.deepEqual(await scene.committed(client, directory, changes, { commitId }), first)
      }
      assert.deepEqual((await scene.present(client, { directory })).revision, first.revision)
    },
  },
  {
    promise: 'R4',
    name: 'A commit that is sent again by another client is answered the same, and happens once.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const commitId = one.records.newId()
      await scene.committed(one, directory, [put('a', '0')])
      const first = await scene.committed(one, directory, [put('a', '1')], { commitId })
      assert.deepEqual(await scene.committed(other, directory, [put('a', '1')], { commitId }), first)
      assert.deepEqual((await scene.present(one, { directory })).revision, first.revision)
    },
  },
  {
    promise: 'R4',
    name: 'A commit that is sent several times at once happens once.',
    body: async scene => {
      const clients = await scene.twoClients()
      for (let round = 0; round < 10; round += 1) {
        const directory = scene.directory()
        const commitId = clients[0].records.newId()
        const answers = await Promise.all(
          [...clients, ...clients].map(client => scene.committed(client, directory, [put('a', '1')], { commitId })),
        )
        for (const answer of answers) assert.deepEqual(answer, answers[0])
        assert.equal((await scene.present(clients[1], { directory })).revision.number, 1)
      }
    },
  },
  {
    promise: 'R4',
    name: 'A commit that is sent again after 31 others is answered the same, and undoes nothing of what came after it.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const { directory, commitId, first } = await committedBefore(scene, { client: one, others: 31 })
      assert.deepEqual(await scene.committed(one, directory, [put('a', '1')], { commitId }), first)
      assert.deepEqual(await scene.committed(other, directory, [put('a', '1')], { commitId }), first)
      const { revision } = await scene.present(other, { directory })
      assert.equal(revision.number, first.revision.number + 31)
      assert.deepEqual(await scene.texts(one, directory), { a: 'later', b: '30' })
    },
  },
  {
    promise: 'R4',
    name: 'A commit that is sent again after 40 others is answered the same or `HF_UNKNOWN_OUTCOME`, and happens once.',
    body: async scene => {
      const client = await scene.client()
      const { directory, commitId, first } = await committedBefore(scene, { client, others: 40 })
      const again = await scene
        .committed(client, directory, [put('a', '1')], { commitId })
        .catch((error: unknown) => error)
      if (again instanceof HoldfastError) assert.equal(again.code, 'HF_UNKNOWN_OUTCOME')
      else assert.deepEqual(again, first)
      const { revision } = await scene.present(client, { directory })
      assert.equal(revision.number, first.revision.number + 40)
      assert.deepEqual(await scene.texts(client, directory), { a: 'later', b: '39' })
    },
  },
  {
    promise: 'R4',
    name: 'A deletion that is sent again does not delete what was written since.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      await scene.committed(client, directory, [put('a', '1')])
      const commitId = client.records.newId()
      const first = await scene.committed(client, directory, [erase('a')], { commitId })
      await scene.committed(client, directory, [put('a', '2')])
      assert.deepEqual(await scene.committed(client, directory, [erase('a')], { commitId }), first)
      assert.deepEqual(await scene.texts(client, directory), { a: '2' })
    },
  },
]

async function committedBefore(
  scene: RecordScene,
  { client, others }: { readonly client: Backend; readonly others: number },
): Promise<{ readonly directory: string; readonly commitId: string; readonly first: Committed }> {
  const directory = scene.directory()
  const commitId = client.records.newId()
  const first = await scene.committed(client, directory, [put('a', '1')], { commitId })
  for (let other = 0; other < others; other += 1) {
    await scene.committed(client, directory, [put('b', `${other}`), ...(other === 0 ? [put('a', 'later')] : [])])
  }
  return { directory, commitId, first }
}
