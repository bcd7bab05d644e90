import type { Backend, Guard } from '@holdfast/core'
import { memoryFence, MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type { Locks, MultiLease } from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend
let locks: Locks
let others: Locks

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
  locks = createLocks({ backend })
  others = createLocks({ backend: memoryBackend({ world }) })
})

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

async function freeOf(names: readonly string[]): Promise<readonly string[]> {
  const infos = await Promise.all(names.map(name => others.inspect(name)))
  return infos.filter(({ holder }) => holder === undefined).map(({ resource }) => resource)
}

describe('locks.all', () => {
  it('has its names in the order of their bytes, each once', () => {
    // By UTF-16 the second were before the first.
    expect(locks.all(['\u{10000}', '\uFFFD', 'b', 'a', 'b']).names).toEqual(['a', 'b', '\uFFFD', '\u{10000}'])
  })

  it('takes 1 to 100 names, and refuses none, more, and what is no name', () => {
    const many = Array.from({ length: 101 }, (_, index) => `r${index}`)
    expect(locks.all(many.slice(0, 100)).names.length).toBe(100)
    expect(() => locks.all(many)).toThrow('Expected `names` to be 1 to 100 names, got 101.')
    expect(() => locks.all([])).toThrow('Expected `names` to be 1 to 100 names, got 0.')
    expect(() => locks.all('a' as unknown as string[])).toThrow('Expected `names` to be an array of names, got "a".')
    expect(() => locks.all(['a', ''])).toThrow('Expected `names` to be a name of 1 to 200 bytes')
    expect(() => locks.all(['a', 5 as unknown as string])).toThrow('Expected `names` to be a string, got 5.')
  })

  it('says who holds each of them', async () => {
    await others.acquire('b', { meta: { who: 'other' } })
    const infos = await locks.all(['b', 'a']).inspect()
    expect(infos.map(({ resource, holder }) => [resource, holder?.meta])).toEqual([
      ['a', undefined],
      ['b', { who: 'other' }],
    ])
  })
})

describe('Many locks that are acquired together', () => {
  it('give a lease with one for each name, and no token for all', async () => {
    const lease = await locks.all(['b', 'a']).acquire({ ttlMs: 5_000 })
    expect(lease.leases.map(({ resource }) => resource)).toEqual(['a', 'b'])
    expect(lease.of('b').token.value).toBeGreaterThan(lease.of('a').token.value)
    expect('token' in lease).toBe(false)
    expect(() => lease.of('c')).toThrow('Expected `name` to be one of "a", "b", got "c".')
    // @ts-expect-error a token of all would be none of any
    expect(lease.token).toBeUndefined()
  })

  it('are given back together, once, and then are held no more', async () => {
    const lease = await locks.all(['a', 'b']).acquire()
    const { signal } = lease
    expect([await lease.release(), await lease.release()]).toEqual(['released', 'released'])
    expect([await freeOf(['a', 'b']), lease.remainingMs(), signal.aborted]).toEqual([['a', 'b'], 0, false])
    expect(() => lease.assertHeld()).toThrow('released')
  })

  it('are given back by `await using`', async () => {
    {
      await using lease = await locks.all(['a', 'b']).acquire()
      lease.assertHeld()
    }
    expect(await freeOf(['a', 'b'])).toEqual(['a', 'b'])
  })

  it('are lost when one is: the signal says so, and the release as well', async () => {
    const lease = await locks.all(['a', 'b']).acquire({ ttlMs: 5_000, renew: false })
    const { signal } = lease
    await lease.of('a').extend(20_000)
    expect(lease.remainingMs()).toBe(lease.of('b').remainingMs())
    await clock.advance(5_000)
    expect(signal.reason).toMatchObject({ code: 'HF_LEASE_LOST', resource: 'b', reason: 'expired' })
    expect(() => lease.assertHeld()).toThrow('"b"')
    expect([lease.of('a').remainingMs() > 0, lease.remainingMs()]).toEqual([true, 0])
    expect(await lease.release()).toBe('lost')
    expect(await freeOf(['a', 'b'])).toEqual(['a', 'b'])
  })

  it('are extended together', async () => {
    const lease = await locks.all(['a', 'b']).acquire({ ttlMs: 5_000, renew: false })
    expect(await lease.extend(10_000)).toBe(9_898)
    expect(lease.leases.map(({ ttlMs }) => ttlMs)).toEqual([10_000, 10_000])
  })

  it('have a deadline for all of them: waitMs counts once', async () => {
    const first = await others.acquire('a')
    await others.acquire('b')
    const acquired = locks.all(['a', 'b']).acquire({ waitMs: 1_000 })
    const failed = failureOf(acquired)
    await clock.advance(600)
    await first.release()
    await clock.advance(399)
    expect(await freeOf(['a', 'b'])).toEqual([])
    await clock.advance(1)
    expect(await failed).toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'b', waitMs: 1_000 })
    expect(await freeOf(['a', 'b'])).toEqual(['a'])
  })

  it.each([
    [0, '"b" is held by this process itself, and the caller did not want to wait.'],
    [500, '"b" was still held by this process itself after waiting 500 ms.'],
  ])('say of one that this process holds that it is its own (waitMs %i)', async (waitMs, said) => {
    const hint = 'If it is the caller who holds it: `using` with `reentrant: true` nests in what `using` took with it.'
    await locks.acquire('b')
    const all = locks.all(['a', 'b'])
    for (const ask of [() => all.acquire({ waitMs }), () => all.using(() => 1, { waitMs, reentrant: true })]) {
      const failed = failureOf(ask())
      await clock.advance(waitMs)
      expect(await failed).toMatchObject({ resource: 'b', waitMs, message: `${said} ${hint}` })
    }
  })

  it('say of one that another holds that it is held by another', async () => {
    await others.acquire('b')
    const message = '"b" is held by another, and the caller did not want to wait.'
    expect(await failureOf(locks.all(['a', 'b']).acquire({ waitMs: 0 }))).toMatchObject({ message })
  })

  it('go by the waitMs of createLocks as well', async () => {
    await others.acquire('b')
    const acquired = createLocks({ backend, waitMs: 500 }).all(['a', 'b']).acquire()
    const failed = failureOf(acquired)
    await clock.advance(500)
    expect(await failed).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 500 })
  })

  it('are all or none: what was taken is given back, the last first, when one cannot be had', async () => {
    await others.acquire('c')
    const released: string[] = []
    locks.events.on('released', ({ resource }) => released.push(resource))
    expect(await locks.all(['a', 'b', 'c']).tryAcquire()).toBeUndefined()
    await clock.advance(0)
    expect([await freeOf(['a', 'b', 'c']), released]).toEqual([
      ['a', 'b'],
      ['b', 'a'],
    ])
  })

  it('are given back when the signal aborts the waiting', async () => {
    await others.acquire('b')
    const caller = new AbortController()
    const acquired = locks.all(['a', 'b']).acquire({ signal: caller.signal })
    const failed = failureOf(acquired)
    await clock.advance(10)
    caller.abort(new Error('enough'))
    expect(await failed).toMatchObject({ message: 'enough' })
    await clock.advance(0)
    expect(await freeOf(['a', 'b'])).toEqual(['a'])
  })

  it('end the waiting when one that was taken is lost meanwhile', async () => {
    await others.acquire('b')
    const acquired = locks.all(['a', 'b']).acquire({ ttlMs: 1_000, renew: false })
    const failed = failureOf(acquired)
    await clock.advance(1_000)
    expect(await failed).toMatchObject({ code: 'HF_LEASE_LOST', resource: 'a' })
    expect((await others.inspect('b')).waiters).toEqual([])
  })

  it('have a guard each, raised to the token of that name', async () => {
    const fence = memoryFence()
    const raised: [string, bigint][] = []
    const guard: Guard = {
      raise: async fenced => {
        raised.push([fenced.resource, fenced.token.value])
        await fence.raise(fenced)
      },
    }
    const lease = await locks.all(['a', 'b']).acquire({ guards: { b: guard } })
    expect(raised).toEqual([['b', lease.of('b').token.value]])
    expect([lease.of('a').guarantee, lease.of('b').guarantee]).not.toContain('advisory')
    expect(lease.guarantee).toBe('lease')
    const all = await others.all(['x', 'y']).acquire({ guards: { x: guard, y: guard } })
    expect(all.guarantee).toBe('fenced')
  })

  it.each([5, null, 'now', [], true])('refuses options that are no object, by whichever method: %j', async options => {
    const all = locks.all(['a', 'b'])
    for (const call of [
      all.acquire(options as never),
      all.tryAcquire(options as never),
      all.using(() => 1, options as never),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
    }
  })

  it('refuse options that are for one lock, guards for other names, and what is none', async () => {
    const all = locks.all(['a'])
    for (const options of [{ guard: memoryFence() }, { lockAtLeastForMs: 5 }, { within: {} }, { reentrant: true }]) {
      await expect(all.acquire(options as object)).rejects.toThrow('Unknown option')
    }
    await expect(all.acquire({ guards: { b: memoryFence() } })).rejects.toThrow('names of the lock, got "b"')
    await expect(all.acquire({ guards: { a: {} as Guard } })).rejects.toThrow('to have a `raise` method')
    await expect(all.acquire({ guards: 5 as unknown as {} })).rejects.toThrow('to be guards by name, got 5')
    expect(await freeOf(['a'])).toEqual(['a'])
  })

  it('hear once that somebody asks for any of them', async () => {
    const all = locks.all(['a', 'b'])
    const lease = await all.acquire()
    const [heard, stopped] = [vi.fn<() => void>(), vi.fn<() => void>()]
    lease.onRevoke(heard)
    lease.onRevoke(stopped)()
    expect(await others.all(['a', 'b', 'c']).requestRevocation()).toBe(2)
    await clock.advance(100)
    expect([heard.mock.calls.length, stopped.mock.calls.length]).toEqual([1, 0])
  })

  it('never wait for each other for ever, in whichever order they are named', async () => {
    const orders = fc.array(fc.shuffledSubarray(['a', 'b', 'c', 'd'], { minLength: 1 }), { minLength: 2, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(orders, async all => {
        const inside = new Map<string, number>()
        const uses = all.map(names =>
          locks.all(names).using(
            async lease => {
              lease.assertHeld()
              for (const name of names) {
                expect(inside.get(name) ?? 0).toBe(0)
                inside.set(name, 1)
              }
              await turn()
              for (const name of names) inside.set(name, 0)
            },
            { waitMs: 60_000 },
          ),
        )
        for (let step = 0; step < 20; step += 1) await turn()
        // Whoever still waits now would wait for ever.
        await clock.advance(60_000)
        expect((await Promise.allSettled(uses)).map(({ status }) => status)).not.toContain('rejected')
      }),
      { numRuns: 60, seed: 5 },
    )
  })
})

describe('using many locks', () => {
  it.each([[{}], [{ reentrant: true }]])('settles as the work does, and gives all back (%o)', async options => {
    const all = locks.all(['b', 'a'])
    const held = async (lease: MultiLease): Promise<number> => lease.leases.length + (await freeOf(['a', 'b'])).length
    expect(await all.using(held, options)).toBe(2)
    await expect(all.using(() => Promise.reject(new Error('work')), options)).rejects.toThrow('work')
    expect(await freeOf(['a', 'b'])).toEqual(['a', 'b'])
  })

  it('keeps the error of the work, also one of a wait of its own', async () => {
    await others.acquire('x')
    for (const reentrant of [false, true]) {
      const used = locks.all(['a', 'b']).using(() => locks.acquire('x', { waitMs: 0 }), { waitMs: 500, reentrant })
      await expect(used).rejects.toMatchObject({ resource: 'x', waitMs: 0 })
    }
  })

  it('tells the wait of all when one of them is not free', async () => {
    await others.acquire('b')
    for (const reentrant of [false, true]) {
      const failed = failureOf(locks.all(['a', 'b']).using(() => 1, { waitMs: 500, reentrant }))
      await clock.advance(500)
      expect(await failed).toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'b', waitMs: 500 })
      await clock.advance(0)
      expect(await freeOf(['a', 'b'])).toEqual(['a'])
    }
  })

  it('nests in locks that are held around it, and lets others nest', async () => {
    const tokens = await locks.using(
      'b',
      outer =>
        locks
          .all(['a', 'b'])
          .using(
            async lease => [
              outer.token.value === lease.of('b').token.value,
              await locks.using('a', inner => inner.token.value === lease.of('a').token.value, { reentrant: true }),
            ],
            { reentrant: true },
          ),
      { reentrant: true },
    )
    expect(tokens).toEqual([true, true])
  })

  it('refuses work that is no function', async () => {
    await expect(locks.all(['a']).using(5 as unknown as () => void)).rejects.toThrow('Expected `work` to be a function')
  })
})
