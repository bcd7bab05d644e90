import { describe, expect, it } from 'vitest'
import type { DirectoryListener, RecordChange, RecordStore } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import { COMMITS_REMEMBERED } from '../records/revision.ts'
import { SimulatedClock } from '../testing/index.ts'
import { memoryBackend } from './index.ts'

const DEAF: DirectoryListener = { changed: () => {}, live: () => {}, down: () => {} }
const value = new Uint8Array([1])

function puts(ids: readonly string[]): readonly RecordChange[] {
  return ids.map(id => ({ kind: 'put', id, value }))
}

async function joined(records: RecordStore): Promise<void> {
  await records.join({ directory: 'd', id: 'a', owner: records.newId(), value, ttlMs: 1_000 })
}

describe('Records in memory', () => {
  it('set a timer for ephemeral records only while somebody listens, and one that does not hold the process', async () => {
    const clock = new SimulatedClock()
    await using backend = memoryBackend({ clock })
    const { records } = backend
    await joined(records)
    expect(clock.pendingTimers).toBe(0)
    const subscription = records.listen('d', DEAF)
    expect([clock.pendingTimers, clock.holdingTimers]).toEqual([1, 0])
    await clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
    await joined(records)
    expect(clock.pendingTimers).toBe(1)
    subscription.close()
    expect(clock.pendingTimers).toBe(0)
  })

  it('leave no timer and no listener when their backend is closed', async () => {
    const clock = new SimulatedClock()
    const backend = memoryBackend({ clock })
    backend.records.listen('d', DEAF)
    await joined(backend.records)
    await backend.close()
    expect(clock.pendingTimers).toBe(0)
  })

  it('keep an ephemeral record until the very moment at which its time is over', async () => {
    const clock = new SimulatedClock()
    await using backend = memoryBackend({ clock })
    const { records } = backend
    const owner = { directory: 'd', id: 'a', owner: records.newId(), value, ttlMs: 1_000 }
    await records.join(owner)
    await clock.advance(999)
    expect(await records.beat(owner)).toMatchObject({ kind: 'kept', ttlMs: 1_000 })
    await clock.advance(1_000)
    expect(await records.beat(owner)).toEqual({ kind: 'gone' })
  })

  it.each([
    [COMMITS_REMEMBERED - 1, 'answered the same'],
    [COMMITS_REMEMBERED, 'HF_UNKNOWN_OUTCOME'],
  ])('answer a commit that is sent again after %i others: %s', async (others, expected) => {
    await using backend = memoryBackend()
    const { records } = backend
    const commit = { directory: 'd', commitId: records.newId(), changes: puts(['a']) }
    const first = await records.commit(commit)
    for (let other = 0; other < others; other += 1) {
      await records.commit({ ...commit, commitId: records.newId(), changes: puts(['b']) })
    }
    const again = await records.commit(commit).catch((error: unknown) => (error as { code: string }).code)
    expect(again).toEqual(expected === 'HF_UNKNOWN_OUTCOME' ? expected : first)
  })

  it('refuse a commit that would make a directory too large, and change nothing', async () => {
    await using backend = memoryBackend()
    const { records } = backend
    const { commitChangesMax, directoryRecordsMax } = RECORD_LIMITS
    const commit = (ids: readonly string[]): Promise<unknown> =>
      records.commit({ directory: 'd', commitId: records.newId(), changes: puts(ids) })
    const ids = Array.from({ length: directoryRecordsMax }, (_, index) => `${index}`)
    for (let at = 0; at < ids.length; at += commitChangesMax) await commit(ids.slice(at, at + commitChangesMax))
    await expect(commit(['0', 'one more'])).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await commit(['0', '1'])
    const read = await records.read({ directory: 'd' })
    expect(read.kind === 'present' && read.records.size).toBe(directoryRecordsMax)
  })
})
