import assert from 'node:assert/strict'
import { ClosedError, HoldfastError } from '../../../errors.ts'
import type { RecordCase } from '../record-case.ts'
import { put } from '../record-changes.ts'
import { ANSWER_MS, Ear } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS, Watched } from '../stage.ts'

const CLOSE_MS = 5 * HOP_MS
const SETTLE_MS = 10 * HOP_MS

/** Calls that are given up, that a closed client is asked, and that nobody answers. */
export const closingCases: readonly RecordCase[] = [
  {
    promise: 'R5',
    name: 'A call whose signal has aborted already is rejected with the reason and leaves nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const reason = new Error('too late')
      const signal = AbortSignal.abort(reason)
      const commit = { directory, commitId: one.records.newId(), changes: [put('a', '1')] }
      const calls: Readonly<Record<string, () => Promise<unknown>>> = {
        read: () => one.records.read({ directory }, signal),
        commit: () => one.records.commit(commit, signal),
        join: () => one.records.join(scene.owner(one, directory), signal),
      }
      for (const [name, call] of Object.entries(calls)) {
        assert.equal(await scene.rejection(call(), HOP_MS, `\`${name}\` with an aborted signal`), reason)
      }
      await scene.harness.advance(100)
      assert.equal((await scene.read(other, { directory })).kind, 'missing')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A signal that aborts after the answer changes nothing.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const abort = new AbortController()
      await scene.committed(client, directory, [put('a', '1')], { signal: abort.signal })
      const owner = scene.owner(client, directory)
      await scene.within(client.records.join(owner, abort.signal), ANSWER_MS, 'joining')
      abort.abort(new Error('too late'))
      await scene.turns(20)
      assert.deepEqual(await scene.texts(client, directory), { a: '1' })
      assert.deepEqual(await scene.ephemerals(client, directory), { one: 'here' })
      await scene.leave(client, owner)
    },
  },
  {
    promise: 'R5',
    name: 'A closed backend rejects every call with `HF_CLOSED`.',
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      const owner = scene.owner(client, directory)
      await scene.within(client.close(), CLOSE_MS, 'closing')
      const { records } = client
      const calls: Readonly<Record<string, () => Promise<unknown>>> = {
        read: () => records.read({ directory }),
        commit: () => records.commit({ directory, commitId: owner.owner, changes: [put('a', '1')] }),
        join: () => records.join(owner),
        beat: () => records.beat(owner),
        leave: () => records.leave(owner),
        listen: async () => records.listen(directory, new Ear()),
      }
      for (const [name, call] of Object.entries(calls)) {
        const error = await scene.rejection(call(), HOP_MS, `\`${name}\` of a closed backend`)
        assert.ok(error instanceof ClosedError, `\`${name}\` rejects with ${String(error)}`)
      }
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R1',
    name: 'Over a silent link every call settles within 10 s, and a commit that is sent again afterwards happens once.',
    needs: ['silence'],
    body: settlesInSilence,
  },
  {
    promise: 'R5',
    name: 'An abort over a silent link rejects at once with the reason.',
    needs: ['silence'],
    body: async scene => {
      const client = await scene.client()
      const directory = scene.directory()
      await scene.committed(client, directory, [put('a', '1')])
      const heal = await scene.silence(client)
      const abort = new AbortController()
      const { records } = client
      const commit = { directory, commitId: records.newId(), changes: [put('a', '2')] }
      const calls = [
        records.read({ directory }, abort.signal),
        records.commit(commit, abort.signal),
        records.join(scene.owner(client, directory), abort.signal),
      ].map(call => new Watched<unknown>(call))
      await scene.turns(5)
      const reason = new Error('enough')
      abort.abort(reason)
      const promptMs = 50 + scene.harness.slackMs
      for (const { promise } of calls) assert.equal(await scene.rejection(promise, promptMs, 'an abort'), reason)
      await heal()
    },
  },
  {
    promise: 'R5',
    name: 'Closing a backend whose link fell silent takes 2 s at most, and rejects what was asked.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.listening(one, directory)
      await scene.silence(one)
      const asked = new Watched(one.records.read({ directory }))
      const startMs = other.clock.monotonicMs()
      await scene.within(one.close(), CLOSE_MS, 'closing over a silent link')
      const tookMs = other.clock.monotonicMs() - startMs
      assert.ok(tookMs <= 2_000 + scene.harness.slackMs, `It took ${tookMs} ms.`)
      const error = await scene.rejection(asked.promise, HOP_MS, 'a read of a closed backend')
      assert.ok(error instanceof ClosedError, `It rejects with ${String(error)}`)
    },
  },
  {
    promise: 'R2',
    name: 'A restart of the server loses nothing of what it acknowledged, where it says that it does not.',
    needs: ['restart'],
    body: restarts,
  },
]

async function settlesInSilence(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const directory = scene.directory()
  const { records } = one
  const owner = scene.owner(one, directory)
  await scene.committed(one, directory, [put('a', '1')])
  const heal = await scene.silence(one)
  const commitId = records.newId()
  const changes = [put('a', '2'), put('b', '2', 'absent')]
  const calls: Readonly<Record<string, Promise<unknown>>> = {
    read: records.read({ directory }),
    commit: records.commit({ directory, commitId, changes }),
    join: records.join(owner),
    beat: records.beat(owner),
    leave: records.leave(owner),
  }
  const errors = await scene.within(
    Promise.all(Object.values(calls).map(call => call.then(String, (error: unknown) => error))),
    SETTLE_MS,
    'every call over a silent link to settle',
  )
  for (const [index, name] of Object.keys(calls).entries()) {
    const error = errors[index]
    const codes = name === 'commit' ? ['HF_UNAVAILABLE', 'HF_UNKNOWN_OUTCOME'] : ['HF_UNAVAILABLE']
    assert.ok(error instanceof HoldfastError && codes.includes(error.code), `\`${name}\` settles with ${String(error)}`)
  }
  await heal()
  const isCommitted = async (): Promise<boolean> => {
    const again = records.commit({ directory, commitId, changes })
    return again.then(
      ({ kind }) => kind === 'committed',
      () => false,
    )
  }
  await scene.eventually(isCommitted, 'the commit that was sent again has not happened', 30 * HOP_MS)
  const { revision } = await scene.present(other, { directory })
  assert.deepEqual([revision.number, revision.commit], [2, commitId])
  assert.deepEqual(await scene.texts(other, directory), { a: '2', b: '2' })
}

async function restarts(scene: RecordScene): Promise<void> {
  const client = await scene.client()
  const directory = scene.directory()
  for (let round = 0; round < 3; round += 1) {
    const { revision } = await scene.committed(client, directory, [put('a', `${round}`)])
    await scene.able('restart')()
    const isThere = async (): Promise<boolean> => {
      const read = await client.records.read({ directory }).catch(() => undefined)
      if (client.records.guarantee === 'lease' && read !== undefined) {
        assert.ok(read.kind === 'present', `After the restart the directory is ${read.kind}.`)
        assert.deepEqual(read.revision, revision)
      }
      return read !== undefined
    }
    await scene.eventually(isThere, 'the client is not answered after the restart', 30 * HOP_MS)
  }
}
