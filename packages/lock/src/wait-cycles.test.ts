import type { Backend } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Locks, WaitCycleEvent } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let backend: Backend
let locks: Locks
let heard: WaitCycleEvent[]
let warned: string[]

beforeEach(() => {
  clock = new SimulatedClock()
  backend = memoryBackend({ world: new MemoryWorld(clock) })
  locks = createLocks({ backend, warnOnWaitCycles: true })
  heard = []
  warned = []
  locks.events.on('waitCycle', event => heard.push(event))
  vi.spyOn(process, 'emitWarning').mockImplementation((warning: string | Error) => void warned.push(String(warning)))
})

afterEach(async () => {
  vi.restoreAllMocks()
  await backend.close()
})

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

/** Two that take two locks each, in an order each. */
async function crossed(by: Locks, [first, second]: readonly [string, string], waitMs = 1_000): Promise<unknown[]> {
  const take = (outer: string, inner: string): Promise<unknown> =>
    by.using(outer, async () => {
      await turn()
      return await by.using(inner, () => 'done', { waitMs })
    })
  const both = Promise.allSettled([take(first, second), take(second, first)])
  await turn()
  await clock.advance(waitMs)
  return (await both).map(({ status }) => status)
}

describe('warnOnWaitCycles', () => {
  it('tells of two that wait for each other, and breaks nothing', async () => {
    const outcomes = await crossed(locks, ['a', 'b'])
    expect(heard).toEqual([{ names: ['b', 'a'] }])
    expect(warned).toEqual([
      'Locks wait for each other: "b" is held by one who waits for "a", which is held by one who waits for "b". Take them in one order, or together by `locks.all`.',
    ])
    expect(outcomes).toContain('rejected')
  })

  it('warns of a cycle once, and tells of it each time', async () => {
    await crossed(locks, ['a', 'b'])
    await crossed(locks, ['b', 'a'])
    expect([heard.length, warned.length]).toEqual([2, 1])
    await crossed(locks, ['a', 'c'])
    expect(warned.length).toBe(2)
  })

  it('tells of one that waits for itself, and not of one that nests', async () => {
    const again = locks.using('a', () => locks.using('a', () => 1, { waitMs: 100 }).catch(() => 'late'))
    await clock.advance(200)
    expect(await again).toBe('late')
    expect(heard).toEqual([{ names: ['a'] }])
    expect(warned).toEqual(['Whoever holds the lock "a" waits for it again: use `reentrant: true`.'])
    await locks.using('n', () => locks.using('n', () => 1, { reentrant: true }), { reentrant: true })
    expect(heard.length).toBe(1)
  })

  it('says of one that reads and waits to write what helps there, and of one that writes and waits to read what helps there', async () => {
    const { read, write } = locks.readWrite('r')
    const upgraded = read.using(() => write.using(() => 1, { waitMs: 100 }).catch(() => 'late'))
    await clock.advance(200)
    const nested = write.using(() => read.using(() => 1, { waitMs: 100 }).catch(() => 'late'))
    await clock.advance(200)
    expect([await upgraded, await nested]).toEqual(['late', 'late'])
    expect(heard).toEqual([{ names: ['r (read-write)'] }, { names: ['r (read-write)'] }])
    expect(warned).toEqual([
      'Whoever reads under the lock "r (read-write)" waits to write: release `read` before, or take `write` first and downgrade.',
      'Whoever holds the lock "r (read-write)" waits for it again: use `reentrant: true`.',
    ])
    const refused = read.using(() => write.using(() => 1, { reentrant: true }), { reentrant: true })
    await expect(refused).rejects.toThrow('Take `write` first and downgrade, or release `read` before.')
    expect(await write.using(() => read.using(() => 1, { reentrant: true }), { reentrant: true })).toBe(1)
  })

  it('tells nothing of those that only try, and sees what they then hold', async () => {
    await locks.using('a', () =>
      locks
        .mutex('a')
        .using(() => 1, { waitMs: 0 })
        .catch(() => undefined),
    )
    expect(heard).toEqual([])
    const tried = locks.using(
      'a',
      async () => {
        await turn()
        return await locks.using('b', () => 1, { waitMs: 100 }).catch(() => 'late')
      },
      { waitMs: 0 },
    )
    const other = locks.using('b', async () => {
      await turn()
      return await locks.using('a', () => 1, { waitMs: 100 }).catch(() => 'late')
    })
    await turn()
    await clock.advance(300)
    await Promise.all([tried, other])
    expect(heard.length).toBe(1)
  })

  it('sees multi-locks, whose own order makes no cycle', async () => {
    const both = Promise.all([locks.all(['a', 'b']).using(() => 1), locks.all(['b', 'a']).using(() => 2)])
    await clock.advance(100)
    expect([await both, heard]).toEqual([[1, 2], []])
    const outer = locks.using('b', async () => {
      await turn()
      return await locks.using('a', () => 1, { waitMs: 100 }).catch(() => 'late')
    })
    const multi = locks.all(['a', 'b']).using(() => 2, { waitMs: 1_000 })
    await turn()
    await clock.advance(500)
    expect([await outer, await multi, heard.length]).toEqual(['late', 2, 1])
  })

  it('is heard by all who asked for it on the backend, and is silent otherwise', async () => {
    const silent = createLocks({ backend })
    const unheard: unknown[] = []
    silent.events.on('waitCycle', event => unheard.push(event)).close()
    await crossed(silent, ['a', 'b'])
    expect([heard, unheard, warned]).toEqual([[], [], []])
    await crossed(createLocks({ backend, warnOnWaitCycles: true }), ['a', 'b'])
    expect(heard.length).toBe(1)
  })

  it('leaves the other events as they were', async () => {
    const granted: string[] = []
    locks.events.on('granted', ({ resource }) => granted.push(resource))
    await locks.using('a', () => 1)
    expect(granted).toEqual(['a'])
    expect(() => createLocks({ backend, warnOnWaitCycles: 1 as unknown as boolean })).toThrow('warnOnWaitCycles')
  })
})
