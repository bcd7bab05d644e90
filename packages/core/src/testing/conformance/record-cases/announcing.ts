import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { Announcement, AnnouncementState } from '../../../records/announcement.ts'
import { announceRecord } from '../../../records/announcement.ts'
import type { RecordCase } from '../record-case.ts'
import { bytesOf } from '../record-changes.ts'
import { ANSWER_MS, NOTICE_MS } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS } from '../stage.ts'

const RECOVERY_MS = 30 * HOP_MS

/** Ephemeral records that are kept alive: the store together with `announceRecord`. */
export const announcementCases: readonly RecordCase[] = [
  {
    promise: 'R6',
    name: 'What is announced is there for many TTLs, and gone as soon as it was taken back.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const announcement = await announced(scene, one, directory)
      for (let round = 0; round < 8; round += 1) {
        await scene.harness.advance(scene.ttlMs / 2)
        assert.deepEqual(await scene.ephemerals(other, directory), { one: 'here' })
        assert.equal(announcement.state.current.kind, 'joined')
      }
      await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
      await scene.within(announcement.leave(), HOP_MS, 'leaving again')
      assert.equal(announcement.state.current.kind, 'left')
      assert.deepEqual(await scene.ephemerals(other, directory), {})
      await scene.nothingLeft(directory)
      await scene.harness.advance(scene.ttlMs)
      assert.deepEqual(await scene.ephemerals(other, directory), {})
    },
  },
  {
    promise: 'R6',
    name: 'Of several updates in a row the last one is seen, and kept.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const announcement = await announced(scene, one, directory)
      for (let update = 0; update <= 5; update += 1) announcement.update(bytesOf(`${update}`))
      await seen(scene, { client: other, directory, expected: '5' })
      await scene.harness.advance(scene.ttlMs)
      assert.deepEqual(await scene.ephemerals(other, directory), { one: '5' })
      await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
    },
  },
  {
    promise: 'R6',
    name: 'An announcement whose place another took ends as `replaced`, and leaves the other alone.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const old = await announced(scene, one, directory)
      const next = await announced(scene, other, directory, 'next')
      await becomes(scene, old, 'replaced', scene.ttlMs + NOTICE_MS)
      old.update(bytesOf('late'))
      await scene.within(old.leave(), ANSWER_MS, 'leaving after it was replaced')
      for (let round = 0; round < 4; round += 1) {
        await scene.harness.advance(scene.ttlMs / 2)
        assert.deepEqual(await scene.ephemerals(other, directory), { one: 'next' })
      }
      assert.deepEqual([old.state.current.kind, next.state.current.kind], ['replaced', 'joined'])
      await scene.within(next.leave(), ANSWER_MS, 'leaving')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R6',
    name: 'An announcement that is taken back at once leaves nothing.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      for (const turns of [0, 1, 2, 5, 10]) {
        const directory = scene.directory()
        const announcement = announceRecord(one, { ...offer(directory), ttlMs: scene.ttlMs })
        await scene.turns(turns)
        await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
        assert.deepEqual(await scene.ephemerals(other, directory), {})
        await scene.nothingLeft(directory)
      }
    },
  },
  {
    promise: 'R6',
    name: 'An announcement leaves when its signal aborts, and when its backend is closed, before that is done.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const abort = new AbortController()
      const first = announceRecord(one, { ...offer(directory), ttlMs: scene.ttlMs, signal: abort.signal })
      await becomes(scene, first, 'joined')
      abort.abort(new Error('enough'))
      assert.equal(first.state.current.kind, 'left')
      const isGone = async (): Promise<boolean> => !('one' in (await scene.ephemerals(other, directory)))
      await scene.eventually(isGone, 'the announcement is still there')
      const second = await announced(scene, one, directory)
      await scene.within(one.close(), ANSWER_MS, 'closing')
      assert.equal(second.state.current.kind, 'left')
      assert.deepEqual(await scene.ephemerals(other, directory), {})
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R6',
    name: 'An announcement that the store lost with its data is made again.',
    needs: ['loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const announcement = await announced(scene, one, directory)
      const states = statesOf(announcement)
      await scene.able('loseData')(directory)
      await seen(scene, { client: other, directory, expected: 'here', ms: scene.ttlMs + RECOVERY_MS })
      await becomes(scene, announcement, 'joined')
      assert.deepEqual(states, ['joining', 'joined'])
      await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R6',
    name: 'An announcement whose session ended is made again, with the value of its last update.',
    needs: ['endSession'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const announcement = await announced(scene, one, directory)
      for (const value of ['first', 'second']) {
        announcement.update(bytesOf(value))
        await scene.able('endSession')(one)
        await seen(scene, { client: other, directory, expected: value, ms: scene.ttlMs + RECOVERY_MS })
        await becomes(scene, announcement, 'joined', RECOVERY_MS)
      }
      await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R6',
    name: 'An announcement over a link that fell silent says `suspended`, and is there again when the link speaks.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const announcement = await announced(scene, one, directory)
      const heal = await scene.silence(one)
      await becomes(scene, announcement, 'suspended', scene.ttlMs + RECOVERY_MS)
      await heal()
      await becomes(scene, announcement, 'joined', scene.ttlMs + RECOVERY_MS)
      assert.deepEqual(await scene.ephemerals(other, directory), { one: 'here' })
      await scene.within(announcement.leave(), ANSWER_MS, 'leaving')
      await scene.nothingLeft(directory)
    },
  },
]

function offer(directory: string, value = 'here'): { directory: string; id: string; value: Uint8Array } {
  return { directory, id: 'one', value: bytesOf(value) }
}

async function announced(
  scene: RecordScene,
  client: Backend,
  directory: string,
  value?: string,
): Promise<Announcement> {
  const announcement = announceRecord(client, { ...offer(directory, value), ttlMs: scene.ttlMs })
  await becomes(scene, announcement, 'joined')
  return announcement
}

async function becomes(
  scene: RecordScene,
  { state }: Announcement,
  kind: AnnouncementState['kind'],
  ms: number = ANSWER_MS,
): Promise<void> {
  await scene.eventually(async () => state.current.kind === kind, `the announcement is not ${kind}`, ms)
}

function statesOf({ state }: Announcement): readonly string[] {
  const states: string[] = []
  state.subscribe(({ kind }) => states.push(kind))
  return states
}

async function seen(
  scene: RecordScene,
  options: { readonly client: Backend; readonly directory: string; readonly expected: string; readonly ms?: number },
): Promise<void> {
  const { client, directory, expected, ms } = options
  const isSeen = async (): Promise<boolean> => (await scene.ephemerals(client, directory))['one'] === expected
  await scene.eventually(isSeen, `the announcement "${expected}" is not seen`, ms)
}
