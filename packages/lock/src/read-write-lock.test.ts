import type { Backend } from '@holdfast/core'
import { StaleTokenError } from '@holdfast/core'
import { MemoryWorld, memoryBackend, memoryFence } from '@holdfast/core/memory'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Locks, ReadWriteLock } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend
let locks: Locks
let lock: ReadWriteLock
/** Another process, as far as the store can tell. */
let others: ReadWriteLock

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
  locks = createLocks({ backend })
  lock = locks.readWrite('r')
  others = createLocks({ backend: memoryBackend({ world }) }).readWrite('r')
})

const REFUSED = { code: 'HF_INVALID_ARGUMENT' }

describe('readWrite', () => {
  it('lets many read at once, with one token, and none write beside them', async () => {
    const readers = [await lock.read.acquire(), await others.read.acquire(), await lock.read.acquire()]
    expect(new Set(readers.map(({ token }) => token.value)).size).toBe(1)
    expect(await others.write.tryAcquire()).toBeUndefined()
    for (const reader of readers) expect(await reader.release()).toBe('released')
    const writer = await others.write.tryAcquire()
    expect(writer !== undefined && writer.token > (readers[0]?.token ?? 0n)).toBe(true)
    expect(await lock.read.tryAcquire()).toBeUndefined()
    await expect(lock.read.acquire({ waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
  })

  it('serves a waiting writer before readers that came after it', async () => {
    const first = await lock.read.acquire()
    const order: string[] = []
    const writing = others.write.using(async () => void order.push('writer'))
    const reading = others.read.using(async () => void order.push('reader'))
    await clock.advance(10)
    expect(order).toEqual([])
    await first.release()
    await Promise.all([writing, reading])
    expect(order).toEqual(['writer', 'reader'])
  })

  it('renews what it holds, and leaves nothing behind', async () => {
    await lock.read.using(async lease => {
      await clock.advance(120_000)
      lease.assertHeld()
      expect(await others.write.tryAcquire()).toBeUndefined()
    })
    expect(world.resources()).toEqual([])
  })

  it('has nothing to do with the mutex and the semaphore of the same name', async () => {
    await locks.acquire('r')
    await locks.semaphore('r', { limit: 1 }).acquire()
    expect(await lock.write.tryAcquire()).toBeDefined()
  })

  it('shows who reads, who writes and who waits', async () => {
    await lock.read.acquire({ meta: { purpose: 'report' } })
    await others.read.acquire()
    void others.write.acquire().catch(() => {})
    await clock.advance(1)
    const { holders, waiters } = await lock.write.inspect()
    expect(holders.map(({ mode }) => mode)).toEqual(['read', 'read'])
    expect(holders[0]?.meta).toEqual({ purpose: 'report' })
    expect(waiters.map(({ mode }) => mode)).toEqual(['write'])
    expect((await locks.inspect('r')).holders).toEqual([])
  })

  it('makes what was read stale for a guard once another has written', async () => {
    const fence = memoryFence()
    const reader = await lock.read.acquire({ guard: fence, renew: false, ttlMs: 1_000 })
    const { token } = reader
    await clock.advance(2_000)
    await others.write.using(async () => {}, { guard: fence })
    await expect(fence.raise({ resource: 'r', token })).rejects.toBeInstanceOf(StaleTokenError)
  })

  it('is refused where the backend has exclusive leases only, before anything is asked', async () => {
    const store = new ScriptedLeaseStore(clock)
    store.modes = 'exclusive'
    const { read, write } = createLocks({ backend: scriptedBackend(store) }).readWrite('r')
    for (const one of [read, write]) await expect(one.acquire()).rejects.toMatchObject({ code: 'HF_UNSUPPORTED' })
    expect(store.asked).toEqual([])
  })

  it('refuses what is no name', () => {
    expect(() => locks.readWrite('')).toThrow(expect.objectContaining(REFUSED) as Error)
    expect(() => locks.readWrite('x'.repeat(201))).toThrow(expect.objectContaining(REFUSED) as Error)
  })

  it('asks readers and writers to give way, and not those who hold the mutex of the name', async () => {
    const heard: string[] = []
    const mutex = await locks.acquire('r')
    const readers = [await lock.read.acquire(), await lock.read.acquire()]
    mutex.onRevoke(() => heard.push('mutex'))
    for (const reader of readers) reader.onRevoke(() => heard.push('reader'))
    expect(await others.write.requestRevocation()).toBe(2)
    await clock.advance(1_000)
    expect(heard).toEqual(['reader', 'reader'])
  })
})

describe('readWrite, re-entrant', () => {
  const reentrant = { reentrant: true }

  it('nests `read` and `write` in the caller’s own `write`, with the same token', async () => {
    await lock.write.using(async outer => {
      await lock.read.using(async inner => expect(inner.token).toBe(outer.token), reentrant)
      await lock.write.using(async inner => {
        expect(inner.token).toBe(outer.token)
        await lock.read.using(async innermost => expect(innermost.token).toBe(outer.token), reentrant)
      }, reentrant)
      expect(await others.read.tryAcquire()).toBeUndefined()
    }, reentrant)
    expect(world.resources()).toEqual([])
  })

  it('nests `read` in the caller’s own `read`, also while a writer waits', async () => {
    let writing: Promise<unknown> = Promise.resolve()
    await lock.read.using(async outer => {
      writing = others.write.using(async () => {})
      await clock.advance(10)
      await lock.read.using(async inner => expect(inner.token).toBe(outer.token), reentrant)
    }, reentrant)
    await writing
    expect(world.resources()).toEqual([])
  })

  it('refuses `write` in the caller’s own `read` at once, however deep, whether it waits or tries', async () => {
    await lock.read.using(async () => {
      const refused = expect.objectContaining({ ...REFUSED, argument: 'reentrant' }) as Error
      await expect(lock.write.using(async () => {}, reentrant)).rejects.toEqual(refused)
      await lock.read.using(async () => {
        await expect(lock.write.using(async () => {}, { reentrant: true, waitMs: 0 })).rejects.toEqual(refused)
      }, reentrant)
    }, reentrant)
  })

  it('refuses `write` within a lease of `read`, and nests the other pairs', async () => {
    const reader = await lock.read.acquire()
    const refused = expect.objectContaining({ ...REFUSED, argument: 'within' }) as Error
    await expect(lock.write.acquire({ within: reader })).rejects.toEqual(refused)
    await expect(lock.write.tryAcquire({ within: reader })).rejects.toEqual(refused)
    const nested = await lock.read.acquire({ within: reader })
    await expect(lock.write.acquire({ within: nested })).rejects.toEqual(refused)
    expect(nested.token).toBe(reader.token)
    await nested.release()
    await reader.release()
    const writer = await lock.write.acquire()
    for (const inner of [lock.read, lock.write]) {
      const lease = await inner.acquire({ within: writer })
      expect(lease.token).toBe(writer.token)
      await lease.release()
    }
  })

  it('does not take the lease or the scope of another lock of that name for its own', async () => {
    const mutex = await locks.acquire('r')
    await expect(lock.read.acquire({ within: mutex })).rejects.toMatchObject(REFUSED)
    const writer = await lock.write.acquire()
    await expect(locks.acquire('r', { within: writer })).rejects.toMatchObject({
      message: 'Expected `within` to be a lease on "r" from the same backend, got one on "r" (read-write).',
    })
    await mutex.release()
    await writer.release()
    await locks.using(
      'r',
      async outer => lock.write.using(async inner => expect(inner.token > outer.token).toBe(true), reentrant),
      reentrant,
    )
  })

  it('knows a reader that waits to write inside of itself, when asked to look for cycles', async () => {
    const watching = createLocks({ backend, warnOnWaitCycles: true })
    const { read, write } = watching.readWrite('r')
    const cycles: (readonly string[])[] = []
    watching.events.on('waitCycle', ({ names }) => cycles.push(names))
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    await read.using(async () => {
      await read.using(async () => {})
      await expect(write.using(async () => {}, { waitMs: 0 })).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
      const asked = write.using(async () => {}, { waitMs: 100 }).catch((error: unknown) => error)
      await clock.advance(100)
      expect(await asked).toMatchObject({ code: 'HF_WAIT_TIMEOUT' })
    })
    expect(cycles).toEqual([['r (read-write)']])
    warned.mockRestore()
  })
})

describe('downgrade', () => {
  it('turns `write` into `read` with nobody writing in between, and lets waiting readers in', async () => {
    const writer = await lock.write.acquire({ ttlMs: 5_000 })
    const { token, signal } = writer
    const reading = others.read.acquire()
    const writing = others.write.acquire()
    await clock.advance(10)
    const reader = await lock.downgrade(writer)
    expect([reader.token.value, reader.ttlMs, reader.resource]).toEqual([token.value, 5_000, 'r'])
    const beside = await reading
    await clock.advance(60_000)
    reader.assertHeld()
    expect([signal.aborted, await writer.release()]).toEqual([false, 'released'])
    await beside.release()
    expect(await reader.release()).toBe('released')
    const next = await writing
    expect(next.token > token).toBe(true)
    await next.release()
    expect(world.resources()).toEqual([])
  })

  it('takes over the defaults of how a lease is held, unless it is told otherwise', async () => {
    const { write, downgrade, read } = createLocks({
      backend,
      ttlMs: 9_000,
      holdMsMax: 500,
      lockDelayMs: 0,
      waitMs: 10,
      meta: { purpose: 'all' },
    }).readWrite('s')
    const limited = await downgrade(await write.acquire({ ttlMs: 4_000 }))
    expect((await read.inspect()).holder?.meta).toEqual({ purpose: 'all' })
    const { signal } = limited
    await clock.advance(501)
    expect([limited.ttlMs, signal.aborted]).toEqual([4_000, true])
    await limited.release()
    const free = await downgrade(await write.acquire(), { holdMsMax: 1_000, ttlMs: 2_000, meta: undefined } as object)
    await clock.advance(501)
    expect([free.ttlMs, free.remainingMs() > 0]).toEqual([2_000, true])
  })

  it('raises the guard to the token of the writer', async () => {
    const fence = memoryFence()
    const reader = await lock.downgrade(await lock.write.acquire({ guard: fence }), { guard: fence })
    expect(reader.guarantee).toBe('fenced')
    await fence.raise(reader)
  })

  it('ends what was nested in the writer, and its scope', async () => {
    const writer = await lock.write.acquire()
    const nested = await lock.read.acquire({ within: writer })
    const { signal } = nested
    const reader = await lock.downgrade(writer)
    expect(signal.aborted).toBe(true)
    await expect(lock.read.acquire({ within: writer })).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    const again = await lock.read.acquire({ within: reader })
    expect(again.token).toBe(reader.token)
  })

  it('may happen inside of `using`, which then has nothing left to release', async () => {
    const reader = await lock.write.using(lease => lock.downgrade(lease), { reentrant: true })
    reader.assertHeld()
    expect(await others.write.tryAcquire()).toBeUndefined()
    await reader.release()
    expect(world.resources()).toEqual([])
  })

  it('refuses a lease of another lock, one to read, one that is nested, and what is no lease', async () => {
    const writer = await lock.write.acquire()
    const nested = await lock.write.acquire({ within: writer })
    const foreign = await locks.readWrite('s').write.acquire()
    const mutex = await locks.acquire('r')
    const reader = await locks.readWrite('t').read.acquire()
    for (const wrong of [nested, foreign, mutex, null, undefined, {}, 'r']) {
      await expect(lock.downgrade(wrong as typeof mutex)).rejects.toMatchObject(REFUSED)
    }
    await expect(locks.readWrite('t').downgrade(reader)).rejects.toMatchObject(REFUSED)
    await expect(lock.downgrade(foreign)).rejects.toThrow('Expected `lease` to be one of "r", got one of "s".')
    await expect(lock.downgrade(writer, { waitMs: 1 } as object)).rejects.toMatchObject(REFUSED)
    for (const lease of [writer, foreign, mutex, reader]) lease.assertHeld()
  })

  it('is refused once the writer has ended', async () => {
    const released = await lock.write.acquire()
    await released.release()
    await expect(lock.downgrade(released)).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    const lapsed = await lock.write.acquire({ renew: false, ttlMs: 1_000 })
    await clock.advance(2_000)
    await expect(lock.downgrade(lapsed)).rejects.toMatchObject({ code: 'HF_LEASE_LOST', reason: 'expired' })
  })
})
