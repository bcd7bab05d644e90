import { AsyncLocalStorage } from 'node:async_hooks'
import type { Backend, Lease } from '@holdfast/core'
import { LeaseLostError, StaleTokenError, WaitTimeoutError } from '@holdfast/core'
import { MemoryWorld, memoryBackend, memoryFence } from '@holdfast/core/memory'
import { SimulatedClock } from '@holdfast/core/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type { Locks } from './index.ts'
import { createLocks } from './index.ts'

const REENTRANT = { reentrant: true } as const

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

afterEach(() => {
  vi.restoreAllMocks()
})

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

describe('A re-entrant lock', () => {
  it('lets work inside take it again, with the same token', async () => {
    const tokens = await locks.using(
      'r',
      outer => locks.using('r', inner => [outer.token.value, inner.token.value], REENTRANT),
      REENTRANT,
    )
    expect(tokens[0]).toBe(tokens[1])
  })

  it('stays held when work inside gives it back', async () => {
    await locks.using(
      'r',
      async outer => {
        await locks.using('r', inner => inner.release(), REENTRANT)
        outer.assertHeld()
        expect(await others.tryAcquire('r')).toBeUndefined()
      },
      REENTRANT,
    )
    expect(await others.tryAcquire('r')).toBeDefined()
  })

  it('stays held when work inside fails', async () => {
    await locks.using(
      'r',
      async () => {
        await expect(locks.using('r', () => Promise.reject(new Error('inner')), REENTRANT)).rejects.toThrow('inner')
        expect(await others.tryAcquire('r')).toBeUndefined()
      },
      REENTRANT,
    )
  })

  it('can be taken many levels deep, across awaits, with one token', async () => {
    const dive = (depth: number): Promise<readonly bigint[]> =>
      locks.using(
        'r',
        async lease => {
          await turn()
          return depth === 0 ? [lease.token.value] : [lease.token.value, ...(await dive(depth - 1))]
        },
        REENTRANT,
      )
    const tokens = await dive(50)
    expect([tokens.length, new Set(tokens).size, world.resources()]).toEqual([51, 1, []])
  })

  it('lets branches that run side by side in one at a time, in order', async () => {
    const log: string[] = []
    await locks.using(
      'r',
      async () => {
        const branch = (name: string): Promise<void> =>
          locks.using(
            'r',
            async () => {
              log.push(`${name} in`)
              await turn()
              await turn()
              log.push(`${name} out`)
            },
            REENTRANT,
          )
        await Promise.all(['a', 'b', 'c'].map(branch))
      },
      REENTRANT,
    )
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  })

  it('makes a branch wait for its turn no longer than `waitMs`', async () => {
    await locks.using(
      'r',
      async () => {
        let leave: () => void = () => {}
        const first = locks.using('r', () => new Promise<void>(resolve => (leave = resolve)), REENTRANT)
        await turn()
        const none = failureOf(locks.using('r', () => {}, { ...REENTRANT, waitMs: 0 }))
        expect(await none).toMatchObject({
          code: 'HF_WAIT_TIMEOUT',
          resource: 'r',
          waitMs: 0,
          message: '"r" is held by another who nests in the same lease, and the caller did not want to wait.',
        })
        const some = failureOf(locks.using('r', () => {}, { ...REENTRANT, waitMs: 500 }))
        await clock.advance(500)
        expect(await some).toMatchObject({
          code: 'HF_WAIT_TIMEOUT',
          message: '"r" was still held by another who nests in the same lease after waiting 500 ms.',
        })
        leave()
        await first
        expect(clock.holdingTimers).toBe(0)
      },
      REENTRANT,
    )
  })

  it('lets a branch be called off while it waits for its turn', async () => {
    await locks.using(
      'r',
      async () => {
        let leave: () => void = () => {}
        const first = locks.using('r', () => new Promise<void>(resolve => (leave = resolve)), REENTRANT)
        await turn()
        const abort = new AbortController()
        const second = failureOf(locks.using('r', () => {}, { ...REENTRANT, signal: abort.signal }))
        const third = locks.using('r', () => 'third', REENTRANT)
        const reason = new Error('called off')
        abort.abort(reason)
        expect(await second).toBe(reason)
        leave()
        await first
        expect(await third).toBe('third')
      },
      REENTRANT,
    )
  })

  it('refuses a detached task that outlives it', async () => {
    let go: () => void = () => {}
    const start = new Promise<void>(resolve => (go = resolve))
    let detached: Promise<unknown> | undefined
    await locks.using(
      'r',
      () => {
        detached = start.then(() => locks.using('r', () => 'done behind his back', REENTRANT))
        detached.catch(() => {})
      },
      REENTRANT,
    )
    go()
    const error = await failureOf(detached ?? Promise.resolve())
    expect(error).toBeInstanceOf(LeaseLostError)
    expect(error).toMatchObject({ code: 'HF_LEASE_LOST', resource: 'r', reason: 'scope-ended' })
  })

  it('tells a detached task that is inside when it ends, and keeps it from acting', async () => {
    let nested: Lease | undefined
    let signal: AbortSignal | undefined
    let detached: Promise<unknown> | undefined
    await locks.using(
      'r',
      async () => {
        detached = locks.using(
          'r',
          async lease => {
            nested = lease
            signal = lease.signal
            while (!signal.aborted) await turn()
          },
          REENTRANT,
        )
        await turn()
      },
      REENTRANT,
    )
    expect(signal?.reason).toMatchObject({ reason: 'scope-ended' })
    expect(() => nested?.assertHeld()).toThrow(LeaseLostError)
    expect(() => nested?.token).toThrow(LeaseLostError)
    expect(await others.tryAcquire('r')).toBeDefined()
    await detached
  })

  it('refuses branches that still wait for their turn when it ends', async () => {
    let waiting: Promise<unknown> | undefined
    const first = locks.using(
      'r',
      async () => {
        void locks.using('r', () => new Promise<void>(() => {}), REENTRANT)
        await turn()
        waiting = failureOf(locks.using('r', () => {}, REENTRANT))
        await turn()
      },
      REENTRANT,
    )
    await first
    expect(await waiting).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'scope-ended' })
  })

  it('is taken from the store again by what is started after it', async () => {
    const first = await locks.using('r', lease => lease.token.value, REENTRANT)
    const second = await locks.using('r', lease => lease.token.value, REENTRANT)
    expect(second).toBeGreaterThan(first)
  })

  it('is not inside for a sibling that started before it, nor for one that started beside it', async () => {
    // `enterWith` would leak into both.
    const attempt = async (): Promise<unknown> =>
      await locks.using('r', () => 'inside', { ...REENTRANT, waitMs: 0 }).catch((error: unknown) => error)
    let goBefore: () => void = () => {}
    const before = new Promise<void>(resolve => (goBefore = resolve)).then(attempt)
    let leave: () => void = () => {}
    const holding = locks.using('r', () => new Promise<void>(resolve => (leave = resolve)), REENTRANT)
    const beside = Promise.resolve().then(turn).then(attempt)
    await turn()
    goBefore()
    expect(await before).toBeInstanceOf(WaitTimeoutError)
    expect(await beside).toBeInstanceOf(WaitTimeoutError)
    leave()
    await holding
  })

  it('is another lock by another name, taken beside it', async () => {
    await locks.using(
      'a',
      outer =>
        locks.using(
          'b',
          async inner => {
            expect(inner.token.value).not.toBe(outer.token.value)
            expect(await others.tryAcquire('b')).toBeUndefined()
            expect(await locks.using('a', again => again.token.value, REENTRANT)).toBe(outer.token.value)
          },
          REENTRANT,
        ),
      REENTRANT,
    )
    expect(world.resources()).toEqual([])
  })

  it('is another lock in another backend', async () => {
    const elsewhere = createLocks({ backend: memoryBackend({ clock }) })
    await locks.using(
      'r',
      async () => {
        const mine = await elsewhere.using('r', () => elsewhere.tryAcquire('r'), REENTRANT)
        expect(mine).toBeUndefined()
        const error = await failureOf(others.using('r', () => {}, { ...REENTRANT, waitMs: 0 }))
        expect(error).toBeInstanceOf(WaitTimeoutError)
      },
      REENTRANT,
    )
  })

  it('is the same lock to all that is made over one backend', async () => {
    const more = createLocks({ backend })
    const token = await locks.using('r', () => more.mutex('r').using(lease => lease.token.value, REENTRANT), REENTRANT)
    expect(token).toBeGreaterThan(0n)
  })

  it('cannot be taken inside one that did not ask for it', async () => {
    const error = await locks.using('r', () => failureOf(locks.using('r', () => {}, { ...REENTRANT, waitMs: 0 })))
    expect(error).toBeInstanceOf(WaitTimeoutError)
  })

  it('cannot be taken inside by one that does not ask for it', async () => {
    const error = await locks.using('r', () => failureOf(locks.using('r', () => {}, { waitMs: 0 })), REENTRANT)
    expect(error).toBeInstanceOf(WaitTimeoutError)
  })

  it('cannot be taken inside once its lease has lapsed', async () => {
    await locks.using(
      'r',
      async () => {
        await clock.advance(1_000)
        expect(await failureOf(locks.using('r', () => {}, REENTRANT))).toMatchObject({ reason: 'expired' })
      },
      { ...REENTRANT, ttlMs: 1_000, renew: false },
    )
  })

  it('raises the guard that a nested holder brings, who is then fenced', async () => {
    const guard = memoryFence()
    const guarantees = await locks.using(
      'r',
      outer => locks.using('r', inner => [outer.guarantee, inner.guarantee], { ...REENTRANT, guard }),
      REENTRANT,
    )
    expect(guarantees).toEqual(['lease', 'fenced'])
    const newer = await locks.acquire('r', { guard })
    expect(guard.run(newer, () => 'written')).toBe('written')
  })

  it('does not wait for a guard that never answers longer than the caller does, or the lease lasts', async () => {
    const guard = { raise: () => new Promise<void>(() => {}) }
    await locks.using(
      'r',
      async () => {
        const abort = new AbortController()
        const aborted = failureOf(locks.using('r', () => {}, { ...REENTRANT, guard, signal: abort.signal }))
        await clock.advance(0)
        abort.abort('enough')
        expect(await aborted).toBe('enough')
        const late = failureOf(locks.using('r', () => {}, { ...REENTRANT, guard }))
        await clock.advance(1_000)
        expect(await late).toMatchObject({ reason: 'expired' })
      },
      { ...REENTRANT, ttlMs: 1_000, renew: false },
    )
  })

  it('gives the place back when the guard of a nested holder refuses it', async () => {
    await locks.using(
      'r',
      async ({ token }) => {
        const guard = { raise: () => Promise.reject(new StaleTokenError('r', token, undefined)) }
        const error = await failureOf(locks.using('r', () => {}, { ...REENTRANT, guard }))
        expect(error).toBeInstanceOf(StaleTokenError)
        expect(await locks.using('r', () => 'next', { ...REENTRANT, waitMs: 0 })).toBe('next')
      },
      REENTRANT,
    )
  })
})

describe('A user who does not ask for re-entrancy', () => {
  it('pays nothing for it: no asynchronous context is made or looked for', async () => {
    const run = vi.spyOn(AsyncLocalStorage.prototype, 'run')
    const getStore = vi.spyOn(AsyncLocalStorage.prototype, 'getStore')
    await locks.using('r', () => 1)
    await locks.using('r', () => 1, { reentrant: false })
    await (await locks.acquire('r')).release()
    await (await locks.tryAcquire('r'))?.release()
    expect([run.mock.calls.length, getStore.mock.calls.length]).toEqual([0, 0])
    await locks.using('r', () => 1, REENTRANT)
    expect(run).toHaveBeenCalledOnce()
  })
})

describe('acquire with `within`', () => {
  it('nests in the lease that it is given, whatever the context', async () => {
    const outer = await locks.acquire('r')
    const inner = await locks.acquire('r', { within: outer })
    expect(inner.token).toBe(outer.token)
    expect(await inner.release()).toBe('released')
    outer.assertHeld()
  })

  it('nests in a nested lease', async () => {
    const outer = await locks.acquire('r')
    const inner = await locks.acquire('r', { within: outer })
    const innermost = await locks.acquire('r', { within: inner })
    expect(innermost.token).toBe(outer.token)
    await inner.release()
    expect(() => innermost.assertHeld()).toThrow(LeaseLostError)
    outer.assertHeld()
  })

  it('nests in the lease of `using`, re-entrant or not', async () => {
    for (const reentrant of [false, true]) {
      const isSame = await locks.using(
        'r',
        async outer => {
          await using inner = await locks.acquire('r', { within: outer })
          return inner.token === outer.token
        },
        { reentrant },
      )
      expect(isSame).toBe(true)
    }
  })

  it('admits one at a time: `tryAcquire` answers undefined, `acquire` waits', async () => {
    const outer = await locks.acquire('r')
    const first = await locks.acquire('r', { within: outer })
    expect(await locks.tryAcquire('r', { within: outer })).toBeUndefined()
    const second = locks.acquire('r', { within: outer, waitMs: 100 })
    await first.release()
    expect((await second).token).toBe(outer.token)
  })

  it('shares its one place with those who nest by context', async () => {
    await locks.using(
      'r',
      async outer => {
        const inner = await locks.acquire('r', { within: outer })
        const error = await failureOf(locks.using('r', () => {}, { ...REENTRANT, waitMs: 0 }))
        expect(error).toBeInstanceOf(WaitTimeoutError)
        await inner.release()
      },
      REENTRANT,
    )
  })

  it('refuses a lease that was given back, and ends with one that is given back later', async () => {
    const outer = await locks.acquire('r')
    const inner = await locks.acquire('r', { within: outer })
    const { signal } = inner
    void outer.release()
    expect(signal.reason).toMatchObject({ reason: 'released' })
    const error = await failureOf(locks.acquire('r', { within: outer }))
    expect(error).toMatchObject({ code: 'HF_LEASE_LOST', reason: 'released' })
  })

  it('refuses the lease of another lock, and names both', async () => {
    const within = await locks.acquire('a')
    const error = await failureOf(locks.acquire('b', { within }))
    expect(error).toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      argument: 'within',
      message: 'Expected `within` to be a lease on "b" from the same backend, got one on "a".',
    })
  })

  it('refuses a lease of another backend, though the lock has the same name', async () => {
    // Seen here: it was taken for ours, and the holder of this backend was not kept out.
    const elsewhere = createLocks({ backend: memoryBackend({ clock }) })
    const within = await elsewhere.acquire('r')
    const error = await failureOf(locks.acquire('r', { within }))
    // Seen here: "to be a lease on "r" from the same backend, got one on "r"".
    const expected = 'Expected `within` to be a lease on "r" from the same backend, got one on "r"'
    expect(error).toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      argument: 'within',
      message: `${expected} of another memory backend.`,
    })
    const redis = createLocks({ backend: { ...memoryBackend({ clock }), kind: 'redis' } })
    expect(await failureOf(redis.acquire('r', { within }))).toMatchObject({
      message: `${expected} of the memory backend.`,
    })
    const nested = await elsewhere.acquire('r', { within })
    expect(await failureOf(locks.acquire('r', { within: nested }))).toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })

  it.each([
    ['null', null],
    ['5', 5],
    ['"r"', 'r'],
    ['an object', {}],
    ['one on "r"', { resource: 'r', assertHeld: () => {} }],
  ])('refuses what is no lease: %s', async (shown, within) => {
    const error = await failureOf(locks.acquire('r', { within: within as unknown as Lease }))
    expect(error).toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: `Expected \`within\` to be a lease on "r" from the same backend, got ${shown}.`,
    })
  })
})
