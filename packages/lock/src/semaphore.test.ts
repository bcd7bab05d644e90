import { StaleTokenError } from '@holdfast/core'
import { MemoryWorld, memoryBackend, memoryFence } from '@holdfast/core/memory'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let locks: Locks
/** Another process, as far as the store can tell. */
let others: Locks

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  locks = createLocks({ backend: memoryBackend({ world }) })
  others = createLocks({ backend: memoryBackend({ world }) })
})

const REFUSED = { code: 'HF_INVALID_ARGUMENT' }

describe('semaphore', () => {
  it('lets in as many as the limit says, each with a slot and a token of its own', async () => {
    const permits = [
      await locks.semaphore('pool', { limit: 3 }).acquire(),
      await others.semaphore('pool', { limit: 3 }).acquire(),
      await locks.semaphore('pool', { limit: 3 }).acquire(),
    ]
    expect(permits.map(({ resource }) => resource)).toEqual(['pool#0', 'pool#1', 'pool#2'])
    expect(new Set(permits.map(({ token }) => token.value)).size).toBe(3)
    const pool = locks.semaphore('pool', { limit: 3 })
    expect(await pool.tryAcquire()).toBeUndefined()
    await expect(pool.acquire({ waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'pool' })
    await permits[1]?.release()
    expect((await pool.tryAcquire())?.resource).toBe('pool#1')
  })

  it('serves those who wait in order of asking, and frees one permit when one holder is gone', async () => {
    const pool = locks.semaphore('pool', { limit: 2 })
    const kept = await pool.acquire()
    await others.semaphore('pool', { limit: 2 }).acquire({ renew: false, ttlMs: 5_000 })
    const served: number[] = []
    const waiting = [1, 2].map(number => pool.using(async () => void served.push(number)))
    await clock.advance(4_000)
    expect(served).toEqual([])
    await clock.advance(1_100)
    await Promise.all(waiting)
    expect(served).toEqual([1, 2])
    kept.assertHeld()
  })

  it('keeps a crowd below the limit, with never two on one slot', async () => {
    const inside = new Set<string>()
    let most = 0
    const work = Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? locks : others).semaphore('pool', { limit: 4 }).using(async ({ resource }) => {
        expect(inside.has(resource)).toBe(false)
        inside.add(resource)
        most = Math.max(most, inside.size)
        await Promise.resolve()
        await new Promise(resolve => clock.setTimer(() => resolve(undefined), 5))
        inside.delete(resource)
      }),
    )
    await clock.advance(1_000)
    await Promise.all(work)
    expect([most, world.resources()]).toEqual([4, []])
  })

  it('fences the slot: the next holder of a slot makes the one before stale, and those of other slots stay', async () => {
    const fence = memoryFence()
    const pool = locks.semaphore('pool', { limit: 2 })
    const first = await pool.acquire({ guard: fence, renew: false, ttlMs: 1_000 })
    const second = await pool.acquire({ guard: fence })
    const { resource, token } = first
    await clock.advance(1_500)
    const successor = await pool.acquire({ guard: fence })
    expect([successor.resource, successor.guarantee]).toEqual([resource, 'fenced'])
    await expect(fence.raise({ resource, token })).rejects.toBeInstanceOf(StaleTokenError)
    await fence.raise(second)
  })

  it('refuses a guard where permits have no slots, and gives the permit back', async () => {
    const store = new ScriptedLeaseStore(clock)
    const pool = createLocks({ backend: scriptedBackend(store) }).semaphore('pool', { limit: 2 })
    const message = expect.stringMatching(/ Leave `guard` out\.$/) as string
    await expect(pool.acquire({ guard: memoryFence() })).rejects.toMatchObject({ code: 'HF_UNSUPPORTED', message })
    expect(store.asked).toEqual(['grant pool', 'release pool'])
    const plain = await pool.acquire()
    expect(plain.resource).toBe('pool')
    // What is nested in it fences no more than it does.
    const within = { within: plain, guard: memoryFence() }
    await expect(pool.acquire(within)).rejects.toMatchObject({ code: 'HF_UNSUPPORTED', message })
  })

  it('is refused where the backend has exclusive leases only', async () => {
    const store = new ScriptedLeaseStore(clock)
    store.modes = 'exclusive'
    const pool = createLocks({ backend: scriptedBackend(store) }).semaphore('pool', { limit: 2 })
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
  })

  it('nests in a permit that the caller has, and takes no second one', async () => {
    const pool = locks.semaphore('pool', { limit: 2 })
    await pool.using(
      async outer => {
        await pool.using(async inner => expect(inner.resource).toBe(outer.resource), { reentrant: true })
        const inner = await pool.acquire({ within: outer })
        expect((await pool.inspect()).holders.length).toBe(1)
        await inner.release()
      },
      { reentrant: true },
    )
    const foreign = await locks.semaphore('other', { limit: 2 }).acquire()
    const mutex = await locks.acquire('pool#0')
    for (const within of [foreign, mutex]) await expect(pool.acquire({ within })).rejects.toMatchObject(REFUSED)
  })

  it('shows who has a permit, with the slot, and who waits', async () => {
    const pool = locks.semaphore('pool', { limit: 2 })
    await pool.acquire({ meta: { job: 'a' } })
    await others.semaphore('pool', { limit: 2 }).acquire({ meta: { job: 'b' } })
    void pool.acquire({ meta: { job: 'c' } }).catch(() => {})
    await clock.advance(1)
    const { holders, waiters } = await pool.inspect()
    expect(holders.map(({ slot, meta }) => [slot, meta['job']])).toEqual([
      [0, 'a'],
      [1, 'b'],
    ])
    expect(waiters.map(({ mode, meta }) => [mode, meta['job']])).toEqual([['permit', 'c']])
  })

  it('refuses a limit that is none, unknown options, and a name that leaves no room for the slot', () => {
    for (const limit of [0, -1, 1.5, 1_000_001, Number.NaN, '3', undefined]) {
      expect(() => locks.semaphore('pool', { limit: limit as number })).toThrow(
        'Expected `limit` to be an integer from 1',
      )
    }
    expect(() => locks.semaphore('pool', undefined as never)).toThrow('Expected semaphore to be given `{ limit }`')
    expect(() => locks.semaphore('pool', { limit: 2, permits: 2 } as never)).toThrow('permits')
    expect(() => locks.semaphore('x'.repeat(194), { limit: 2 })).toThrow('at most 193 bytes of UTF-8')
    expect(() => locks.semaphore('é'.repeat(97), { limit: 2 })).toThrow('got 194 bytes')
    expect(() => locks.semaphore('', { limit: 2 })).toThrow('1 to 200 bytes')
    expect(() => locks.semaphore('x'.repeat(193), { limit: 1_000_000 })).not.toThrow()
  })
})
