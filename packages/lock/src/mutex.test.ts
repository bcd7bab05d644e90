import type { Backend, Lease } from '@holdfast/core'
import { RefusedError, StaleTokenError, UnavailableError, WaitTimeoutError } from '@holdfast/core'
import { MemoryWorld, memoryBackend, memoryFence } from '@holdfast/core/memory'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '@holdfast/core/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend
let locks: Locks
/** Another process, as far as the store can tell. */
let others: Locks

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
  locks = createLocks({ backend })
  others = createLocks({ backend: memoryBackend({ world }) })
})

/** Settles to what it was `ms` later: its value, its error, or undefined. */
async function after<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let seen: T | undefined
  const settled = work.then(value => (seen = value))
  settled.catch(() => {})
  await clock.advance(ms)
  return seen
}

describe('acquire', () => {
  it('takes a free lock, with the token, length and guarantee that it has', async () => {
    const lease = await locks.acquire('r', { ttlMs: 5_000 })
    expect([lease.resource, lease.ttlMs, lease.guarantee]).toEqual(['r', 5_000, 'lease'])
    expect(lease.token.value).toBeGreaterThan(0n)
    lease.assertHeld()
  })

  it('keeps others out until it is released, then lets the next in with a greater token', async () => {
    const first = await locks.acquire('r')
    const waiting = others.acquire('r')
    expect(await after(25_000, waiting)).toBeUndefined()
    expect(await first.release()).toBe('released')
    const second = await waiting
    expect(second.token > first.token).toBe(true)
  })

  it('serves those who wait in order of asking', async () => {
    const order: number[] = []
    const held = await locks.acquire('r')
    const waiting = [1, 2, 3].map(async number => {
      const lease = await (number % 2 === 0 ? locks : others).acquire('r')
      order.push(number)
      await lease.release()
    })
    await clock.advance(10)
    await held.release()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
  })

  it('does not mix locks of different names', async () => {
    const leases = await Promise.all(['a', 'b', 'A', 'a '].map(name => locks.acquire(name)))
    expect(leases.map(({ resource }) => resource)).toEqual(['a', 'b', 'A', 'a '])
  })

  it('gives up after `waitMs`, not before, with the name and how long it waited', async () => {
    await others.acquire('r')
    const failed = failureOf(locks.acquire('r', { waitMs: 500 }))
    expect(await after(499, failed)).toBeUndefined()
    const error = await after(1, failed)
    expect(error).toBeInstanceOf(WaitTimeoutError)
    expect(error).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      resource: 'r',
      waitMs: 500,
      message: '"r" was still held by another after waiting 500 ms.',
    })
  })

  it('refuses at once with `waitMs` of 0, and says that nobody wanted to wait', async () => {
    await others.acquire('r')
    const error = await failureOf(locks.acquire('r', { waitMs: 0 }))
    expect(error).toMatchObject({
      code: 'HF_WAIT_TIMEOUT',
      waitMs: 0,
      message: '"r" is held by another, and the caller did not want to wait.',
    })
  })

  it('rejects with the reason of a signal that aborts while it waits, and nothing is left', async () => {
    const held = await others.acquire('r')
    const abort = new AbortController()
    const failed = failureOf(locks.acquire('r', { signal: abort.signal }))
    await clock.advance(10)
    const reason = new Error('the caller left')
    abort.abort(reason)
    expect(await failed).toBe(reason)
    expect((await locks.inspect('r')).waiters).toEqual([])
    await held.release()
    await clock.advance(1_000)
    expect([world.resources(), clock.pendingTimers]).toEqual([[], 0])
  })

  it('asks for nothing when the signal has aborted already', async () => {
    const store = new ScriptedLeaseStore(clock)
    const reason = new Error('too late')
    const acquired = createLocks({ backend: scriptedBackend(store) }).acquire('r', {
      signal: AbortSignal.abort(reason),
    })
    expect(await failureOf(acquired)).toBe(reason)
    expect(store.asked).toEqual([])
  })

  it('does not care for a signal that aborts once the lock is held', async () => {
    const abort = new AbortController()
    const lease = await locks.acquire('r', { signal: abort.signal })
    abort.abort(new Error('too late'))
    await clock.advance(10)
    lease.assertHeld()
    expect(lease.signal.aborted).toBe(false)
  })

  it('leaves no listener on a signal that outlives many locks', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1
      removeEventListener.apply(signal, args)
    }
    const held = await others.acquire('r')
    const failed = failureOf(locks.acquire('r', { signal, waitMs: 50 }))
    const waiting = locks.acquire('r', { signal })
    await clock.advance(50)
    await failed
    expect(listeners).toBe(1)
    await held.release()
    await (await waiting).release()
    await (await locks.acquire('r', { signal })).release()
    expect(listeners).toBe(0)
  })

  it('raises the guard before it hands out the lease, so that older holders are refused from then on', async () => {
    const guard = memoryFence()
    const old = await others.acquire('r')
    const { token } = old
    await old.release()
    const lease = await locks.acquire('r', { guard })
    expect(lease.guarantee).toBe('fenced')
    expect(() => guard.run({ resource: 'r', token }, () => 'written')).toThrow(StaleTokenError)
    expect(guard.run(lease, () => 'written')).toBe('written')
  })

  it('gives the lock back when the guard says that it is stale', async () => {
    const store = new ScriptedLeaseStore(clock)
    const scripted = createLocks({ backend: scriptedBackend(store) })
    const { token } = await locks.acquire('r')
    const guard = { raise: () => Promise.reject(new StaleTokenError('r', token, undefined)) }
    expect(await failureOf(scripted.acquire('r', { guard }))).toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(store.asked).toEqual(['grant r', 'release r'])
  })

  it('passes on that the store cannot be reached, and that it refused, each as what it is', async () => {
    const store = new ScriptedLeaseStore(clock)
    const scripted = createLocks({ backend: scriptedBackend(store) })
    for (const error of [new UnavailableError('no answer'), new RefusedError('no permission')]) {
      store.answers.grant = () => Promise.reject(error)
      expect(await failureOf(scripted.acquire('r'))).toBe(error)
    }
  })
})

describe('tryAcquire', () => {
  it('takes a free lock', async () => {
    expect((await locks.tryAcquire('r'))?.resource).toBe('r')
  })

  it('answers undefined at once when another holds it', async () => {
    await others.acquire('r')
    expect(await locks.tryAcquire('r')).toBeUndefined()
  })

  it('waits for as long as it is told, then answers undefined', async () => {
    await others.acquire('r')
    let answer: unknown = 'none yet'
    void locks.tryAcquire('r', { waitMs: 500 }).then(lease => (answer = lease))
    await clock.advance(499)
    expect(answer).toBe('none yet')
    await clock.advance(1)
    expect(answer).toBeUndefined()
  })

  it('takes a lock that is released while it waits', async () => {
    const held = await others.acquire('r')
    const waiting = locks.tryAcquire('r', { waitMs: 500 })
    await clock.advance(100)
    await held.release()
    expect((await waiting)?.resource).toBe('r')
  })

  it('still throws what is no answer: an abort, an unreachable store', async () => {
    const reason = new Error('too late')
    expect(await failureOf(locks.tryAcquire('r', { signal: AbortSignal.abort(reason) }))).toBe(reason)
    const store = new ScriptedLeaseStore(clock)
    store.answers.tryGrant = () => Promise.reject(new UnavailableError('no answer'))
    expect(await failureOf(createLocks({ backend: scriptedBackend(store) }).tryAcquire('r'))).toMatchObject({
      code: 'HF_UNAVAILABLE',
    })
  })
})

describe('using', () => {
  it('holds the lock while the work runs, gives its value, and releases', async () => {
    const value = await locks.using('r', async lease => {
      expect(await others.tryAcquire('r')).toBeUndefined()
      lease.assertHeld()
      return 42
    })
    expect(value).toBe(42)
    expect(await others.tryAcquire('r')).toBeDefined()
  })

  it('takes work that is not asynchronous', async () => {
    expect(await locks.using('r', lease => lease.resource)).toBe('r')
  })

  it.each([
    ['rejects', () => Promise.reject(new Error('the work failed'))],
    [
      'throws at once',
      () => {
        throw new Error('the work failed')
      },
    ],
  ])('releases the lock when the work %s, and fails with just that error', async (_how, work) => {
    await expect(locks.using('r', work)).rejects.toThrow('the work failed')
    expect(await others.tryAcquire('r')).toBeDefined()
  })

  it('does not start the work when it cannot have the lock', async () => {
    await others.acquire('r')
    let starts = 0
    const failed = failureOf(locks.using('r', () => (starts += 1), { waitMs: 0 }))
    expect(await failed).toBeInstanceOf(WaitTimeoutError)
    expect(starts).toBe(0)
  })

  it('says by the signal that the lease was lost while the work runs, and still gives its value', async () => {
    const value = await locks.using(
      'r',
      async lease => {
        const { signal } = lease
        await clock.advance(1_000)
        return [signal.aborted, (signal.reason as { reason?: string }).reason]
      },
      { ttlMs: 1_000, renew: false },
    )
    expect(value).toEqual([true, 'expired'])
  })

  it('lets work release the lock itself', async () => {
    expect(await locks.using('r', async lease => await lease.release())).toBe('released')
    expect(await others.tryAcquire('r')).toBeDefined()
  })

  it('takes the lock again and again', async () => {
    const tokens = new Set<bigint>()
    for (let turn = 0; turn < 100; turn += 1) await locks.using('r', lease => tokens.add(lease.token.value))
    expect(tokens.size).toBe(100)
    expect(world.resources()).toEqual([])
  })
})

describe.each([false, true])('using, with `reentrant: %s`, over a store that fails', reentrant => {
  const TTL_MS = 10_000
  let store: ScriptedLeaseStore
  let scripted: Locks

  beforeEach(() => {
    store = new ScriptedLeaseStore(clock)
    scripted = createLocks({ backend: scriptedBackend(store), ttlMs: TTL_MS })
  })

  /** What it settles to, once everything that could hold it up is over. */
  async function settled(work: (lease: Lease) => unknown): Promise<unknown> {
    let outcome: unknown = 'pending'
    scripted.using('r', work, { reentrant }).then(
      value => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await clock.advance(TTL_MS)
    return outcome
  }

  const stores: readonly (readonly [string, () => Promise<'released' | 'lost'>])[] = [
    ['is unavailable', () => Promise.reject(new UnavailableError('no answer'))],
    ['refuses', () => Promise.reject(new RefusedError('no permission'))],
    ['answers that the lease was lost', async () => 'lost'],
    ['never answers', () => new Promise<never>(() => {})],
  ]

  it.each(stores)('gives the value of the work when the release %s', async (_how, release) => {
    store.answers.release = release
    expect(await settled(() => 42)).toEqual({ value: 42 })
  })

  it.each(stores)('gives the error of the work when the release %s', async (_how, release) => {
    store.answers.release = release
    const error = new Error('the work failed')
    expect(await settled(() => Promise.reject(error))).toEqual({ error })
  })

  it.each(stores)('gives the value when the lease was lost meanwhile and the release %s', async (_how, release) => {
    store.answers.release = release
    store.answers.renew = async renewals => renewals.map(() => ({ kind: 'lost', reason: 'revoked' }))
    const work = async (lease: Lease): Promise<unknown> => {
      const { signal } = lease
      while (!signal.aborted) await new Promise(resolve => void setImmediate(resolve))
      return (signal.reason as { reason?: string }).reason
    }
    expect(await settled(work)).toEqual({ value: 'revoked' })
  })

  it('settles by the deadline of the lease when no release is ever answered', async () => {
    store.answers.release = () => new Promise<never>(() => {})
    let isSettled = false
    const using = scripted.using('r', () => 42, { reentrant }).then(() => (isSettled = true))
    await clock.advance(9_897)
    expect(isSettled).toBe(false)
    await clock.advance(1)
    expect(isSettled).toBe(true)
    await using
  })

  it('does not start work, and gives the error, when the store grants nothing', async () => {
    const error = new UnavailableError('no answer')
    store.answers.grant = () => Promise.reject(error)
    expect(await settled(() => expect.unreachable('The work was started.'))).toEqual({ error })
  })
})

describe('inspect', () => {
  it('shows who holds and who waits, with what they said of themselves', async () => {
    const held = await locks.acquire('r', { meta: { job: 'export' } })
    void others.acquire('r', { meta: { job: 'import' } })
    await clock.advance(10)
    const { resource, holder, waiters } = await locks.inspect('r')
    expect([resource, holder?.meta, holder?.token.value]).toEqual(['r', { job: 'export' }, held.token.value])
    expect(waiters.map(({ meta }) => meta)).toEqual([{ job: 'import' }])
  })

  it('shows nobody for a lock that was never taken', async () => {
    expect(await locks.inspect('r')).toEqual({ resource: 'r', holder: undefined, holders: [], waiters: [] })
  })
})
