import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import { InvalidArgumentError } from '../../../errors.ts'
import type { DirectoryListener, RecordChange } from '../../../ports/records.ts'
import { RECORD_LIMITS } from '../../../ports/records.ts'
import { AWKWARD_NAMES } from '../awkward-names.ts'
import type { RecordCase } from '../record-case.ts'
import { bytesOf, put } from '../record-changes.ts'
import { ANSWER_MS, Ear } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'

const { recordBytesMax, commitBytesMax, commitChangesMax } = RECORD_LIMITS

/** What values and names may be, and how large. */
export const valueCases: readonly RecordCase[] = [
  {
    promise: 'R2',
    name: 'A value is any bytes: none at all, all 256 of them, text that is none.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const values = new Map([
        ['empty', new Uint8Array()],
        ['zero', new Uint8Array([0])],
        ['every byte', Uint8Array.from({ length: 256 }, (_, index) => index)],
        ['no text', new Uint8Array([0xff, 0xfe, 0x80, 0xc0, 0x0d, 0x0a, 0x00, 0xed, 0xa0, 0x80])],
        ['part of a larger one', new Uint8Array([7, 8, 9, 10]).subarray(1, 3)],
      ])
      await scene.committed(
        one,
        directory,
        [...values].map(([id, value]) => put(id, value)),
      )
      for (const [id, value] of values) await scene.join(one, scene.owner(one, directory, { id, value }))
      const { records, ephemerals } = await scene.present(other, { directory, ephemerals: true })
      for (const [id, value] of values) {
        assert.deepEqual([...(records.get(id)?.value ?? [-1])], [...value], id)
        assert.deepEqual([...(ephemerals.get(id)?.value ?? [-1])], [...value], id)
      }
    },
  },
  {
    promise: 'R7',
    name: `A value of exactly ${recordBytesMax} bytes is stored, and one of a byte more is refused.`,
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const largest = filled(recordBytesMax)
      const { revision } = await scene.committed(one, directory, [put('a', largest)])
      await refusedBeforeSending(scene, one, { directory, changes: [put('a', filled(recordBytesMax + 1))] })
      const seen = await scene.present(other, { directory })
      assert.deepEqual(seen.revision, revision)
      const value = seen.records.get('a')?.value ?? new Uint8Array()
      assert.equal(Buffer.compare(value, largest), 0)
    },
  },
  {
    promise: 'R7',
    name: `A commit of exactly ${commitBytesMax} bytes, ids included, happens, and one of a byte more is refused.`,
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const changesOf = (extra: number): readonly RecordChange[] => [
        put('a', filled(recordBytesMax)),
        put('b', filled(commitBytesMax - recordBytesMax - 2 + extra)),
      ]
      const { revision } = await scene.committed(one, directory, changesOf(0))
      await refusedBeforeSending(scene, one, { directory, changes: changesOf(1) })
      const seen = await scene.present(other, { directory })
      assert.deepEqual([seen.revision, seen.records.size], [revision, 2])
    },
  },
  {
    promise: 'R7',
    name: `A commit has 1 to ${commitChangesMax} changes, of as many records.`,
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const changesOf = (count: number): readonly RecordChange[] =>
        Array.from({ length: count }, (_, index) => put(`record-${index}`, `${index}`, 'absent'))
      for (const changes of [[], changesOf(commitChangesMax + 1), [put('a', '1'), put('a', '2')]]) {
        await refusedBeforeSending(scene, client, { directory, changes })
      }
      assert.equal((await scene.read(client, { directory })).kind, 'missing')
      await scene.committed(client, directory, changesOf(commitChangesMax))
      assert.equal((await scene.present(client, { directory })).records.size, commitChangesMax)
    },
  },
  {
    promise: 'R7',
    name: 'The value of an ephemeral record that is too large is refused, when joining and with a beat.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const value = filled(recordBytesMax + 1)
      const owner = scene.owner(client, directory)
      await invalid(scene, client.records.join({ ...owner, value }), 'joining with too large a value')
      await scene.nothingLeft(directory)
      await scene.join(client, owner)
      await invalid(scene, client.records.beat(owner, value), 'a beat with too large a value')
      assert.deepEqual(await scene.ephemerals(client, directory), { one: 'here' })
      await scene.leave(client, owner)
    },
  },
  {
    promise: 'R7',
    name: 'What cannot be a name is refused: of a directory, of a record, wherever one is given.',
    body: async scene => {
      const client = await scene.client()
      const { records } = client
      const commitId = records.newId()
      const directory = scene.directory()
      for (const name of [
        '',
        'n'.repeat(201),
        '水'.repeat(67),
        'line\nbreak',
        '\u0000',
        '\uD800',
        7 as unknown as string,
      ]) {
        const owner = scene.owner(client, directory)
        const calls: readonly (() => Promise<unknown>)[] = [
          () => records.read({ directory: name }),
          () => records.read({ directory, ids: [name] }),
          () => records.commit({ directory: name, commitId, changes: [put('a', '1')] }),
          () => records.commit({ directory, commitId, changes: [put(name, '1')] }),
          () => records.join({ ...owner, directory: name }),
          () => records.join({ ...owner, id: name }),
        ]
        for (const call of calls) await invalid(scene, call(), `a call with the name ${JSON.stringify(name)}`)
        assert.throws(() => records.listen(name, silent()), InvalidArgumentError)
      }
      assert.equal((await scene.read(client, { directory })).kind, 'missing')
    },
  },
  {
    promise: 'R2',
    name: 'Records and ephemeral records may have any name: braces, percent signs, slashes, dots, Unicode, 200 bytes.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      for (const id of AWKWARD_NAMES) {
        await scene.committed(one, directory, [put(id, `record ${id}`, 'absent')])
        await scene.join(one, scene.owner(one, directory, { id, value: bytesOf(`ephemeral ${id}`) }))
      }
      const { records, ephemerals } = await scene.present(other, { directory, ephemerals: true })
      assert.deepEqual([...records.keys()].sort(), [...AWKWARD_NAMES].sort())
      for (const id of AWKWARD_NAMES) {
        assert.deepEqual([records.get(id)?.id, ephemerals.get(id)?.id], [id, id])
        assert.deepEqual(records.get(id)?.value, bytesOf(`record ${id}`))
        assert.deepEqual(ephemerals.get(id)?.value, bytesOf(`ephemeral ${id}`))
      }
      const some = await scene.present(other, { directory, ids: AWKWARD_NAMES.slice(0, 9) })
      assert.deepEqual([...some.records.keys()].sort(), [...AWKWARD_NAMES.slice(0, 9)].sort())
    },
  },
  {
    promise: 'R2',
    name: 'Directories with awkward names are all different directories, and each is told of its own changes.',
    body: awkwardDirectories,
  },
]

async function awkwardDirectories(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  for (const directory of AWKWARD_NAMES)
    await scene.committed(one, directory, [put('name', directory), put('extra', 'x')])
  for (const directory of AWKWARD_NAMES) {
    assert.deepEqual(await scene.texts(other, directory), { extra: 'x', name: directory }, JSON.stringify(directory))
  }
  for (const directory of AWKWARD_NAMES) {
    const { ear, subscription } = await scene.listening(other, directory)
    const { changed } = ear.heard
    await scene.committed(one, directory, [put('extra', 'y')])
    await scene.hears(ear, changed, `a commit to ${JSON.stringify(directory)}`)
    subscription.close()
    await scene.nothingLeft(directory)
  }
}

function filled(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xa5)
}

function silent(): DirectoryListener {
  return new Ear()
}

async function refusedBeforeSending(
  scene: RecordScene,
  client: Backend,
  { directory, changes }: { readonly directory: string; readonly changes: readonly RecordChange[] },
): Promise<void> {
  const asked = client.records.commit({ directory, commitId: client.records.newId(), changes })
  await invalid(scene, asked, 'a commit that is too large')
}

async function invalid(scene: RecordScene, call: Promise<unknown>, what: string): Promise<void> {
  const error = await scene.rejection(call, ANSWER_MS, what)
  assert.ok(error instanceof InvalidArgumentError, `It rejected with ${String(error)}: ${what}.`)
}
