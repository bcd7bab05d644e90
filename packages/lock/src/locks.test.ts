import type { Backend, LeaseMeta } from '@holdfast/core'
import { InvalidArgumentError } from '@holdfast/core'
import { MemoryWorld, memoryBackend } from '@holdfast/core/memory'
import { ScriptedLeaseStore, SimulatedClock, scriptedBackend } from '@holdfast/core/testing'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { failureOf } from './failure-of.fixture.ts'
import type {
  FencingToken,
  Lease,
  LockInfo,
  LockOptions,
  Lockable,
  Locks,
  LocksOptions,
  UsingOptions,
} from './index.ts'
import { createLocks } from './index.ts'

let clock: SimulatedClock
let world: MemoryWorld
let backend: Backend

beforeEach(() => {
  clock = new SimulatedClock()
  world = new MemoryWorld(clock)
  backend = memoryBackend({ world })
})

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('createLocks', () => {
  it('gives its options to every lease that does not bring its own', async () => {
    const meta = { job: 'export' }
    const locks = createLocks({ backend, ttlMs: 5_000, renew: false, meta })
    const lease = await locks.acquire('r')
    expect([lease.ttlMs, (await locks.inspect('r')).holder?.meta]).toEqual([5_000, meta])
    await clock.advance(5_000)
    expect(lease.remainingMs()).toBe(0)
  })

  it('keeps others out by its lockDelayMs, with every lease', async () => {
    const locks = createLocks({ backend, ttlMs: 5_000, renew: false, lockDelayMs: 60_000 })
    const lease = await locks.acquire('r')
    await clock.advance(5_000)
    expect(lease.remainingMs()).toBe(0)
    expect(await createLocks({ backend }).tryAcquire('r')).toBeUndefined()
  })

  it('knows the lease of the re-entrant lock that the running code is inside of, and of no other', async () => {
    const locks = createLocks({ backend })
    const seen = await locks.using(
      'r',
      async lease => {
        await Promise.resolve()
        return [locks.current('r') === lease, locks.current('other'), createLocks({ backend }).current('r') === lease]
      },
      { reentrant: true },
    )
    expect(seen).toEqual([true, undefined, true])
    expect(await locks.using('r', () => locks.current('r'))).toBeUndefined()
    expect(locks.current('r')).toBeUndefined()
  })

  it('lets an option of the call stand before its own', async () => {
    const locks = createLocks({ backend, ttlMs: 5_000, meta: { job: 'export' } })
    const lease = await locks.acquire('r', { ttlMs: 7_000 })
    const { holder } = await locks.inspect('r')
    expect([lease.ttlMs, holder?.meta]).toEqual([7_000, { job: 'export' }])
  })

  it('takes an option of the call that is undefined for one that was left out', async () => {
    // Seen here: `{ ttlMs: undefined }` took the backend's default instead of the one given to createLocks.
    const locks = createLocks({ backend, ttlMs: 5_000, waitMs: 0, meta: { job: 'export' } })
    const left = { ttlMs: undefined, waitMs: undefined, renew: undefined, meta: undefined } as unknown as LockOptions
    const lease = await locks.acquire('r', left)
    expect([lease.ttlMs, (await locks.inspect('r')).holder?.meta]).toEqual([5_000, { job: 'export' }])
    expect(await failureOf(locks.acquire('r', left))).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 0 })
    expect(await failureOf(locks.using('r', () => {}, left))).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 0 })
  })

  it('takes an option of its own that is undefined for one that was left out', async () => {
    const left = { ttlMs: undefined, waitMs: undefined, renew: undefined, holdMsMax: undefined, meta: undefined }
    const locks = createLocks({ backend, ...left } as unknown as LocksOptions)
    expect((await locks.acquire('r')).ttlMs).toBe(30_000)
  })

  it('waits by its own `waitMs`, but never in tryAcquire', async () => {
    await createLocks({ backend }).acquire('r')
    const locks = createLocks({ backend, waitMs: 500 })
    const failed = failureOf(locks.acquire('r'))
    await clock.advance(500)
    expect(await failed).toMatchObject({ code: 'HF_WAIT_TIMEOUT', waitMs: 500 })
    expect(await locks.tryAcquire('r')).toBeUndefined()
    expect(await locks.tryAcquire('r', { ttlMs: 1_000 })).toBeUndefined()
  })

  it('does not care for what becomes of its options object', async () => {
    const options = { backend, ttlMs: 5_000 }
    const locks = createLocks(options)
    options.ttlMs = 100
    expect((await locks.acquire('r')).ttlMs).toBe(5_000)
  })

  it('sends nothing before a lock is asked for', () => {
    const store = new ScriptedLeaseStore(clock)
    createLocks({ backend: scriptedBackend(store) }).mutex('r')
    expect([store.asked, clock.pendingTimers]).toEqual([[], 0])
  })

  it('tells what happens to leases: one that is granted, released, lost', async () => {
    const locks = createLocks({ backend })
    const seen: string[] = []
    for (const name of ['granted', 'released', 'lost'] as const) {
      locks.events.on(name, ({ resource }) => seen.push(`${name} ${resource}`))
    }
    await locks.using('a', () => {})
    await locks.acquire('b', { ttlMs: 1_000, renew: false })
    await clock.advance(1_000)
    expect(seen).toEqual(['granted a', 'released a', 'granted b', 'lost b'])
  })

  it('makes locks that mean the same by name as by mutex', async () => {
    const locks = createLocks({ backend })
    const mutex = locks.mutex('r')
    await using lease = await mutex.acquire()
    expect(await locks.tryAcquire('r')).toBeUndefined()
    expect(await mutex.tryAcquire()).toBeUndefined()
    expect((await mutex.inspect()).holder?.token.value).toBe(lease.token.value)
  })

  it('does not close the backend, and leaves nothing when that is closed', async () => {
    const locks = createLocks({ backend })
    const lease = await locks.acquire('r', { ttlMs: 5_000 })
    const { signal } = lease
    await backend.close()
    expect(signal.reason).toMatchObject({ reason: 'closed' })
    expect([world.resources(), clock.pendingTimers]).toEqual([[], 0])
  })
})

describe('Bad input', () => {
  let store: ScriptedLeaseStore
  let locks: Locks

  beforeEach(() => {
    store = new ScriptedLeaseStore(clock)
    locks = createLocks({ backend: scriptedBackend(store) })
  })

  afterEach(() => {
    if (store.asked.length > 0) throw new Error(`The store was asked: ${store.asked.join(', ')}.`)
  })

  /** An error with one sentence that says what was expected, and the value that was seen. */
  function refusal(argument: string, shown: string): object {
    const words = shown.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    const message: unknown = expect.stringMatching(new RegExp(`^(?=[A-Z])(?=.*${words})[^\n]{10,400}\\.$`))
    return { code: 'HF_INVALID_ARGUMENT', argument, message }
  }

  const names: readonly (readonly [what: string, name: unknown, shown: string])[] = [
    ['empty', '', 'got ""'],
    ['one byte too long', 'n'.repeat(201), 'got 201 bytes: "nnn'],
    ['too long in UTF-8 alone', '水'.repeat(67), 'got 201 bytes: "水'],
    ['one with a line break', 'a\nb', 'a name without control characters, got "a\\nb"'],
    ['one with a NUL', 'a\0b', 'got "a\\u0000b"'],
    ['one with a control character of Latin 1', 'a\u0085b', 'without control characters'],
    ['one with half a surrogate pair', 'a\ud800b', 'without lone surrogates, got "a\\ud800b"'],
    ['undefined', undefined, 'to be a string, got undefined'],
    ['null', null, 'got null'],
    ['a number', 5, 'got 5'],
    ['an object', {}, 'got an object'],
    ['an array', ['a'], 'got an array of 1'],
    ['a symbol', Symbol('a'), 'got Symbol(a)'],
  ]

  it.each(names)('as a name is refused by everything that takes one: %s', async (_what, name, shown) => {
    const given = name as string
    expect(await failureOf(locks.acquire(given))).toMatchObject(refusal('name', shown))
    expect(await failureOf(locks.tryAcquire(given))).toMatchObject(refusal('name', shown))
    expect(await failureOf(locks.using(given, () => {}))).toMatchObject(refusal('name', shown))
    expect(await failureOf(locks.inspect(given))).toMatchObject(refusal('name', shown))
    expect(() => locks.mutex(given)).toThrow(InvalidArgumentError)
  })

  const durations: readonly (readonly [value: unknown, shown: string])[] = [
    [Number.NaN, 'NaN'],
    [-1, '-1'],
    [Infinity, 'Infinity'],
    [-Infinity, '-Infinity'],
    [0.5, '0.5'],
    [2 ** 31, '2147483648'],
    ['5', '"5"'],
    [null, 'null'],
    [5n, '5n'],
    [{}, 'an object'],
    [[5], 'an array of 1'],
    [() => 5, 'a function'],
    [true, 'true'],
  ]

  const bad: readonly (readonly [option: string, value: unknown, shown: string])[] = [
    ...['ttlMs', 'waitMs', 'holdMsMax'].flatMap(option =>
      durations.map(([value, shown]) => [option, value, `(milliseconds), got ${shown}.`] as const),
    ),
    ['ttlMs', 0, 'from 100 to 86400000 (milliseconds), got 0.'],
    ['ttlMs', 99, 'got 99.'],
    ['ttlMs', 86_400_001, 'got 86400001.'],
    ['holdMsMax', 0, 'from 1 to 2147483647 (milliseconds), got 0.'],
    ['renew', 'false', 'true or false, got "false".'],
    ['renew', 0, 'got 0.'],
    ['renew', null, 'got null.'],
    ['ttl', 5_000, 'Unknown option `ttl`'],
    ['timeout', undefined, 'Unknown option `timeout`'],
    ['meta', 'export', 'an object of strings, got "export".'],
    ['meta', null, 'got null.'],
    ['meta', ['export'], 'got an array of 1.'],
  ]

  const badInCalls: readonly (readonly [option: string, value: unknown, shown: string])[] = [
    ...bad,
    ['signal', {}, 'an AbortSignal, got an object.'],
    ['signal', null, 'got null.'],
    ['signal', new AbortController(), 'got an AbortController: pass `controller.signal`.'],
    ['guard', {}, 'a `raise` method, got an object.'],
    ['guard', null, 'got null.'],
    ['guard', () => {}, 'got a function.'],
  ]

  it.each(badInCalls)('as the option %s of a call is refused: %s', async (option, value, shown) => {
    const options = { [option]: value }
    expect(await failureOf(locks.acquire('r', options))).toMatchObject(refusal(option, shown))
    expect(await failureOf(locks.tryAcquire('r', options))).toMatchObject(refusal(option, shown))
    expect(await failureOf(locks.using('r', () => {}, options))).toMatchObject(refusal(option, shown))
    expect(await failureOf(locks.using('r', () => {}, { ...options, reentrant: true }))).toMatchObject(
      refusal(option, shown),
    )
  })

  it.each(bad)('as the option %s of createLocks is refused at once: %s', (option, value, shown) => {
    expect(thrownBy(() => createLocks({ backend: scriptedBackend(store), [option]: value }))).toMatchObject(
      refusal(option, shown),
    )
  })

  const badMeta: readonly (readonly [meta: unknown, argument: string, shown: string])[] = [
    [{ job: 5 }, 'meta.job', 'got 5.'],
    [{ job: undefined }, 'meta.job', 'got undefined.'],
    [Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, ''])), 'meta', 'got 17.'],
    [{ job: 'x'.repeat(1_024) }, 'meta', 'at most 1024 characters of JSON, got 1034.'],
  ]

  it.each(badMeta)('as metadata is refused: %j', async (meta, argument, shown) => {
    expect(await failureOf(locks.acquire('r', { meta: meta as LeaseMeta }))).toMatchObject(refusal(argument, shown))
  })

  const notOptions: readonly (readonly [value: unknown, shown: string])[] = [
    [null, 'null'],
    [5, '5'],
    ['5000', '"5000"'],
    [[], 'an array of 0'],
    [[5_000], 'an array of 1'],
    [() => {}, 'a function'],
    [true, 'true'],
  ]

  it.each(notOptions)('in place of an options object is refused: %j', async (value, shown) => {
    const options = value as LockOptions
    const expected = `to be an object, got ${shown}.`
    expect(await failureOf(locks.acquire('r', options))).toMatchObject(refusal('acquire', expected))
    // Seen here: `tryAcquire('r', 5)` took 5 for no options at all.
    expect(await failureOf(locks.tryAcquire('r', options))).toMatchObject(refusal('acquire', expected))
    expect(await failureOf(locks.using('r', () => {}, options))).toMatchObject(refusal('acquire', expected))
  })

  it.each([[undefined], [null], [5], ['work'], [{}], [Promise.resolve()]])(
    'in place of work is refused: %j',
    async work => {
      const using = locks.using('r', work as unknown as () => void)
      expect(await failureOf(using)).toMatchObject(refusal('work', 'Expected `work` to be a function, got '))
    },
  )

  it('as work behind the options is refused, and told where it belongs', async () => {
    const using = locks.using as (name: string, options: unknown, work: unknown) => Promise<unknown>
    expect(await failureOf(using('r', { waitMs: 5 }, () => {}))).toMatchObject(
      refusal('work', 'got an object: it comes before the options.'),
    )
  })

  it('is no generator, whose body would run without the lock', async () => {
    function* work(): Generator<number> {
      yield 1
    }
    const refused = refusal('work', 'Expected `work` to be a function that is done when it has answered')
    expect(await failureOf(locks.using('a', work))).toMatchObject(refused)
    expect(await failureOf(locks.all(['a']).using(work))).toMatchObject(refused)
    expect(await failureOf(locks.election('a').run(work))).toMatchObject(refused)
  })

  it('as options of a lock that takes none is refused', () => {
    for (const method of ['mutex', 'readWrite'] as const) {
      const make = locks[method] as (...given: unknown[]) => unknown
      const words = 'got an object after it: options go to acquire and using, or to createLocks.'
      expect(thrownBy(() => make('r', { ttlMs: 500 }))).toMatchObject(refusal(method, words))
      expect(thrownBy(() => make('r', 5))).toMatchObject(refusal(method, 'got 5 after it'))
      expect(() => make('r', undefined)).not.toThrow()
    }
    expect(['a', 'b'].map(locks.mutex)).toHaveLength(2)
  })

  it('as an option that createLocks has not got is refused by that name, with those that it has', () => {
    const options = { backend: scriptedBackend(store), ttl: 5 }
    expect(() => createLocks(options)).toThrow(
      'Unknown option `ttl` of createLocks; it has `backend`, `ttlMs`, `waitMs`, `renew`, `holdMsMax`, `lockDelayMs`, `meta`, `warnOnWaitCycles`.',
    )
  })

  it('is a backend in place of the options: createLocks says how to pass it', () => {
    const bare = scriptedBackend(store) as unknown as LocksOptions
    expect(thrownBy(() => createLocks(bare))).toMatchObject(refusal('options', 'got a Backend: pass `{ backend }`.'))
  })

  it('as `reentrant` is refused, and where it has no meaning', async () => {
    const yes = { reentrant: 'yes' } as unknown as UsingOptions
    expect(await failureOf(locks.using('r', () => {}, yes))).toMatchObject(
      refusal('reentrant', 'true or false, got "yes".'),
    )
    const reentrant = { reentrant: true } as LockOptions
    expect(await failureOf(locks.acquire('r', reentrant))).toMatchObject(
      refusal('reentrant', 'Unknown option `reentrant`'),
    )
    const within = { within: {} } as UsingOptions
    expect(await failureOf(locks.using('r', () => {}, within))).toMatchObject(
      refusal('within', 'Unknown option `within`'),
    )
  })

  it.each([
    [undefined, 'options', 'got undefined.'],
    [null, 'options', 'got null.'],
    ['redis://127.0.0.1', 'options', 'got "redis://127.0.0.1".'],
    [Promise.resolve(), 'options', 'got a promise (did you forget await?).'],
    [{}, 'backend', 'got undefined.'],
    [{ backend: null }, 'backend', 'got null.'],
    [{ backend: 'redis://u:s3cret@h' }, 'backend', 'got "redis://u:***@h": pass `redisBackend({ url })`.'],
    [{ backend: 'postgresql://h' }, 'backend', 'got "postgresql://h": pass `postgresBackend({ url })`.'],
    [{ backend: 'h:6379' }, 'backend', 'got "h:6379".'],
    [{ backend: { evalsha: () => {} } }, 'backend', 'got a Redis client: pass `redisBackend({ client })`.'],
    [{ backend: { query: () => {}, Client: {} } }, 'backend', 'got a Pool of pg: pass `postgresBackend({ pool })`.'],
    [{ backend: Promise.resolve() }, 'backend', 'got a promise (did you forget await?).'],
    [{ backend: {} }, 'backend', 'got an object.'],
  ])('to createLocks is refused at once: %j', (options, argument, shown) => {
    expect(thrownBy(() => createLocks(options as unknown as LocksOptions))).toMatchObject(refusal(argument, shown))
  })

  it('is a backend that is closed: everything says so', async () => {
    const closing = memoryBackend({ clock })
    const closed = createLocks({ backend: closing })
    await closing.close()
    const message = 'The memory backend is closed.'
    for (const asked of [
      closed.acquire('r'),
      closed.tryAcquire('r'),
      closed.using('r', () => {}),
      closed.inspect('r'),
    ]) {
      expect(await failureOf(asked)).toMatchObject({ code: 'HF_CLOSED', message })
    }
  })

  it('is a backend that was closed before it was ever used: createLocks says so', async () => {
    const closed = memoryBackend({ clock })
    await closed.close()
    expect(() => createLocks({ backend: closed })).toThrow('The memory backend is closed.')
  })
})

describe('The types', () => {
  it('of `using` are those of the work', () => {
    const locks = createLocks({ backend })
    expectTypeOf(locks.using<number>).returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf(() => locks.using('r', () => 5)).returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf(() => locks.using('r', async () => 'text')).returns.toEqualTypeOf<Promise<string>>()
    expectTypeOf(() => locks.using('r', () => {})).returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf(() => locks.using('r', lease => lease)).returns.toEqualTypeOf<Promise<Lease>>()
    expectTypeOf(() => locks.mutex('r').using(async ({ token }) => token)).returns.toEqualTypeOf<
      Promise<FencingToken>
    >()
  })

  it('of tryAcquire make the caller look at undefined', () => {
    expectTypeOf<Locks['tryAcquire']>().returns.toEqualTypeOf<Promise<Lease | undefined>>()
    expectTypeOf<Lockable['tryAcquire']>().returns.toEqualTypeOf<Promise<Lease | undefined>>()
    expectTypeOf<Locks['acquire']>().returns.toEqualTypeOf<Promise<Lease>>()
    expectTypeOf<Locks['inspect']>().returns.toEqualTypeOf<Promise<LockInfo>>()
    expectTypeOf<Locks['mutex']>().returns.toEqualTypeOf<Lockable>()
  })

  it('know each option, and where it has a meaning', () => {
    expectTypeOf<{ within: Lease; waitMs: 5 }>().toExtend<LockOptions>()
    expectTypeOf<keyof LockOptions & 'reentrant'>().toEqualTypeOf<never>()
    expectTypeOf<keyof UsingOptions & 'within'>().toEqualTypeOf<never>()
    expectTypeOf<keyof LocksOptions>().toEqualTypeOf<
      'backend' | 'ttlMs' | 'waitMs' | 'renew' | 'holdMsMax' | 'lockDelayMs' | 'meta' | 'warnOnWaitCycles'
    >()
    expectTypeOf<LocksOptions>().toHaveProperty('backend').toEqualTypeOf<Backend>()
  })

  it('of a lease can be disposed of, and compared by its token', () => {
    expectTypeOf<Lease>().toExtend<AsyncDisposable>()
    expectTypeOf<Lease['guarantee']>().toEqualTypeOf<'advisory' | 'lease' | 'fenced'>()
    expectTypeOf<Lease['release']>().returns.toEqualTypeOf<Promise<'released' | 'lost'>>()
    expectTypeOf<FencingToken['value']>().toEqualTypeOf<bigint>()
  })
})
