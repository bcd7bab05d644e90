import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { SimulatedClock } from '@holdfast/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallContext } from '../call.ts'
import { rejected } from '../errors.ts'
import type { CacheOwn } from './cache.ts'
import { cache } from './cache.ts'
import { CacheEntries } from './entries.ts'
import type { CacheOptions } from './options.ts'
import { pipeline } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { timeout } from '../timeout/timeout.ts'

interface Scene {
  readonly clock: SimulatedClock
  readonly policy: Policy & CacheOwn
  readonly runs: () => number
  /** What the work does from now on. */
  readonly answer: (next: () => unknown) => void
  get(key?: string): Promise<unknown>
}

function scene(options: Partial<CacheOptions> = {}): Scene {
  const clock = new SimulatedClock()
  const policy = cache({ ttlMs: 100, clock, ...options })
  let runs = 0
  let answer = (): unknown => runs
  const work = async (): Promise<unknown> => {
    runs += 1
    return await answer()
  }
  return {
    clock,
    policy,
    runs: () => runs,
    answer: next => void (answer = next),
    get: (key = 'k') => policy.execute(work, { key }),
  }
}

const down = (): never => {
  throw new Error('down')
}

describe('a value that is kept', () => {
  it('is the answer until `ttlMs` has passed, and not a moment longer', async () => {
    const { clock, get, runs } = scene()
    await expect(get()).resolves.toBe(1)
    await clock.advance(99)
    await expect(get()).resolves.toBe(1)
    await clock.advance(1)
    await expect(get()).resolves.toBe(2)
    expect(runs()).toBe(2)
  })

  it('is the answer at once while it is renewed in the background', async () => {
    const { clock, get, runs, policy } = scene({ staleMs: 50 })
    await get()
    await clock.advance(149)
    await expect(Promise.all([get(), get()])).resolves.toEqual([1, 1])
    await expect(get()).resolves.toBe(2)
    expect(runs()).toBe(2)
    await clock.advance(150)
    await expect(get()).resolves.toBe(3)
    expect(policy.describe().state).toMatchObject({ hits: 1, stale: 2, missed: 2, keys: 1 })
  })

  it('is renewed in the time that the renewal needs, whatever time the caller had', async () => {
    const clock = new SimulatedClock()
    const policy = pipeline(cache({ ttlMs: 100, staleMs: 1_000, clock }), timeout({ timeoutMs: 500, clock }))
    await policy.execute(() => 'old', { key: 'k' })
    await clock.advance(100)
    const work = (): Promise<string> => new Promise(resolve => clock.setTimer(() => resolve('new'), 90))
    await expect(policy.execute(work, { key: 'k', timeoutMs: 10 })).resolves.toBe('old')
    await clock.advance(90)
    await expect(policy.execute(down, { key: 'k' })).resolves.toBe('new')
  })

  it('stays the answer when renewing it fails, until `staleMs` has passed', async () => {
    const { clock, get, answer } = scene({ staleMs: 50 })
    await get()
    answer(down)
    await clock.advance(120)
    await expect(get()).resolves.toBe(1)
    await clock.advance(29)
    await expect(get()).resolves.toBe(1)
    await clock.advance(1)
    await expect(get()).rejects.toThrow('down')
  })

  it('is the answer where the call fails or is refused, for `staleOnErrorMs`', async () => {
    const { clock, get, answer } = scene({ staleOnErrorMs: 1_000 })
    await get()
    answer(down)
    await clock.advance(1_099)
    await expect(get()).resolves.toBe(1)
    answer(() => Promise.reject(rejected({ policy: 'p', rule: 'p', ruleVersion: 1, reason: 'circuit-open' })))
    await expect(get()).resolves.toBe(1)
    await clock.advance(1)
    await expect(get()).rejects.toThrow('the circuit is open')
  })

  it('is not the answer to an error that `handle` does not take', async () => {
    const { clock, get, answer } = scene({ staleOnErrorMs: 1_000, handle: error => error instanceof TypeError })
    await get()
    answer(down)
    await clock.advance(100)
    await expect(get()).rejects.toThrow('down')
  })

  it('is the answer to a value that is a failure, which is not kept itself', async () => {
    const handle = { options: { errorFilter: () => true, resultFilter: (value: unknown) => value === 'bad' } }
    const { clock, get, answer } = scene({ staleOnErrorMs: 1_000, handle })
    await get()
    answer(() => 'bad')
    await clock.advance(100)
    await expect(get()).resolves.toBe(1)
    await expect(get('other')).resolves.toBe('bad')
    answer(() => 'good')
    await expect(get('other')).resolves.toBe('good')
  })

  it('is forgotten when it is invalidated, and so is what a call under way returns', async () => {
    const { clock, get, answer, policy } = scene()
    await get()
    expect([policy.invalidate('k'), policy.invalidate('k')]).toEqual([true, false])
    answer(() => new Promise(resolve => clock.setTimer(() => resolve('before'), 10)))
    const before = get()
    policy.invalidate('k')
    answer(() => 'behind')
    await expect(get()).resolves.toBe('behind')
    await clock.advance(10)
    await expect(before).resolves.toBe('before')
    await expect(get()).resolves.toBe('behind')
    policy.clear()
    expect(policy.describe().state).toMatchObject({ keys: 0, sizeBytes: 0 })
  })
})

describe('what is not kept', () => {
  it.each([[null], [undefined]])('%s, unless `keep` says so', async value => {
    const [without, told] = [scene(), scene({ keep: () => true })]
    for (const { answer, get } of [without, told]) {
      answer(() => value)
      await get()
      await expect(get()).resolves.toBe(value)
    }
    expect([without.runs(), told.runs()]).toEqual([2, 1])
  })

  it('an error, and calls without a key', async () => {
    const { answer, get, runs, policy } = scene()
    answer(down)
    await Promise.allSettled([get()])
    await Promise.allSettled([get()])
    expect(runs()).toBe(2)
    let alone = 0
    for (const _ of [1, 2]) await policy.execute(() => (alone += 1))
    expect(alone).toBe(2)
  })

  it('what is larger than all may be, and what was read longest ago where it gets too much', async () => {
    const { get, answer, runs } = scene({ sizeOf: value => String(value).length, sizeBytesMax: 10 })
    answer(() => 'x'.repeat(11))
    await get('huge')
    await get('huge')
    expect(runs()).toBe(2)
    answer(() => 'xxxx')
    for (const key of ['a', 'b', 'a', 'c']) await get(key)
    expect(runs()).toBe(5)
    await get('a')
    expect(runs()).toBe(5)
    await get('b')
    expect(runs()).toBe(6)
  })

  it.each([NaN, -1, '4', undefined])('a value whose `sizeOf` says %j, and what comes later is kept', async size => {
    const sizes: unknown[] = [size, 4]
    const { get, runs, policy } = scene({ sizeOf: () => sizes.shift() as number, sizeBytesMax: 10 })
    await get('odd')
    for (let count = 0; count < 2; count += 1) await get('even')
    expect(runs()).toBe(2)
    expect(policy.describe().state).toMatchObject({ keys: 1, sizeBytes: 4 })
  })

  it('a value whose `sizeOf` throws, which is the answer all the same', async () => {
    const { get, runs } = scene({ sizeOf: down, sizeBytesMax: 10 })
    await expect(get()).resolves.toBe(1)
    await expect(get()).resolves.toBe(2)
    expect(runs()).toBe(2)
  })
})

describe('a cache', () => {
  it('lets calls that miss at one time share a run, of which each may leave', async () => {
    const { clock, get, answer, runs, policy } = scene()
    answer(() => new Promise(resolve => clock.setTimer(() => resolve('value'), 10)))
    const caller = new AbortController()
    const calls = [get(), get(), policy.execute(() => 'own', { key: 'k', signal: caller.signal })]
    caller.abort(new Error('gone'))
    const [settled] = await Promise.all([Promise.allSettled(calls), clock.advance(10)])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(runs()).toBe(1)
  })

  it('lets the call run that a miss makes with its own key, which would wait for itself', async () => {
    const { policy } = scene()
    const outer = async ({ signal }: CallContext): Promise<string> => {
      await Promise.resolve()
      return `outer of ${await policy.execute(() => 'inner', { key: 'k', signal })}`
    }
    await expect(policy.execute(outer, { key: 'k' })).resolves.toBe('outer of inner')
  })

  it('runs each call in shadow, and says what would have been a hit', async () => {
    const { get, runs } = scene({ mode: 'shadow' })
    const events: string[] = []
    const hear = (message: unknown): void => void events.push((message as { event: string }).event)
    subscribe('holdfast:resilience.event', hear)
    await get()
    await get()
    unsubscribe('holdfast:resilience.event', hear)
    expect(runs()).toBe(2)
    expect(events).toEqual(['wouldHit'])
  })

  it('tells of hits, of stale values and of misses', async () => {
    const { clock, get } = scene({ staleMs: 50 })
    const events: string[] = []
    const hear = (message: unknown): void => void events.push((message as { event: string }).event)
    subscribe('holdfast:resilience.event', hear)
    await get()
    await get()
    await clock.advance(120)
    await get()
    unsubscribe('holdfast:resilience.event', hear)
    expect(events).toEqual(['missed', 'hit', 'stale'])
  })

  it('refuses options that are wrong', () => {
    expect(() => cache({} as CacheOptions)).toThrow('Expected `ttlMs` to be an integer from 1')
    expect(() => cache({ ttlMs: 5, maxAge: 5 } as CacheOptions)).toThrow('Unknown option `maxAge` of cache')
    expect(() => cache({ ttlMs: 5, sizeBytesMax: 10 })).toThrow('Expected `sizeOf` beside `sizeBytesMax`')
    expect(() => cache({ ttlMs: 5, keep: true } as unknown as CacheOptions)).toThrow('Expected `keep` to be a function')
  })
})

describe('the entries of a cache', () => {
  it('never are more or larger than their bounds, and what was written last is there if it fits', () => {
    const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), sizeBytes: fc.nat(12) }))
    const bounds = { keysMax: 3, sizeBytesMax: 20 }
    fc.assert(
      fc.property(steps, written => {
        const entries = new CacheEntries()
        for (const { key, sizeBytes } of written) {
          entries.write(key, { value: key, storedAtMs: 0, sizeBytes }, bounds)
          expect(entries.count).toBeLessThanOrEqual(3)
          expect(entries.sizeBytes).toBeLessThanOrEqual(20)
          expect(entries.read(key)?.sizeBytes).toBe(sizeBytes)
        }
        const left = ['a', 'b', 'c', 'd', 'e'].map(key => entries.read(key)?.sizeBytes ?? 0)
        expect(left.reduce((sum, size) => sum + size, 0)).toBe(entries.sizeBytes)
      }),
    )
  })
})
