import type { Backend } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import type { LockedMethodOptions, Locks } from './index.ts'
import { createLocks, locked, lockedFunction, useLocks } from './index.ts'

let backend: Backend
let locks: Locks
let granted: string[]
let stopUsing: () => void

beforeEach(() => {
  backend = memoryBackend()
  locks = createLocks({ backend })
  granted = []
  locks.events.on('granted', ({ resource }) => granted.push(resource))
  stopUsing = useLocks(locks)
})

afterEach(async () => {
  stopUsing()
  await backend.close()
})

class Stock {
  count = 40
  tenant: string | undefined = 'acme'

  @locked('stock:{0}')
  async take(item: string, times = 1): Promise<number> {
    return await Promise.resolve(this.count + item.length * times)
  }

  @locked('{this.tenant}:report', { waitMs: 0 })
  async report(work: () => Promise<unknown>): Promise<unknown> {
    return await work()
  }

  @locked(['account:{0}', 'account:{1}'])
  static async move(from: string, to: string): Promise<string> {
    return await Promise.resolve(`${this.name}: ${from} to ${to}`)
  }

  @locked((item: { readonly id: number }) => `stock:${item.id}`, {
    reentrant: true,
    signal: (_item: { readonly id: number }, signal?: AbortSignal) => signal,
  })
  async slowly(item: { readonly id: number }, _signal?: AbortSignal): Promise<boolean> {
    return await Promise.resolve(locks.current(`stock:${item.id}`) !== undefined)
  }

  @locked('hidden')
  async #hidden(): Promise<string> {
    return await Promise.resolve('seen')
  }

  reveal(): Promise<string> {
    return this.#hidden()
  }
}

describe('A method with @locked', () => {
  it('runs under the lock of its arguments, with its `this`, its name and its length', async () => {
    const stock = new Stock()
    expect(await stock.take('ab')).toBe(42)
    expect(await stock.take('abc', 2)).toBe(46)
    expect([granted, stock.take.name, stock.take.length]).toEqual([['stock:ab', 'stock:abc'], 'take', 1])
    expectTypeOf(stock.take).toEqualTypeOf<(item: string, times?: number) => Promise<number>>()
    expect((await locks.inspect('stock:ab')).holder).toBeUndefined()
  })

  it('has the options of `using`', async () => {
    const stock = new Stock()
    const twice = stock.report(() => stock.report(() => Promise.resolve()))
    await expect(twice).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'acme:report' })
  })

  it('may be static or private, and take locks together', async () => {
    expect(await Stock.move('b', 'a')).toBe('Stock: b to a')
    expect(await new Stock().reveal()).toBe('seen')
    expect(granted).toEqual(['account:a', 'account:b', 'hidden'])
  })

  it('knows its lease by `current` when it is re-entrant, and ends its waiting by a signal of its arguments', async () => {
    const stock = new Stock()
    expect(await stock.slowly({ id: 7 })).toBe(true)
    expect(locks.current('stock:7')).toBeUndefined()
    const lease = await locks.acquire('stock:7')
    const caller = new AbortController()
    const waits = stock.slowly({ id: 7 }, caller.signal)
    caller.abort(new Error('enough'))
    await expect(waits).rejects.toThrow('enough')
    await lease.release()
  })

  it('rejects before anything is asked when a value is missing', async () => {
    const stock = new Stock()
    stock.tenant = undefined
    await expect(stock.report(() => Promise.resolve())).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message:
        'Expected {this.tenant} of the lock name "{this.tenant}:report" to be a text that is not empty, or a number, got undefined.',
    })
    expect(granted).toEqual([])
  })

  it('is decorated by experimentalDecorators as well, and its descriptor stays as it was', async () => {
    async function original(this: Stock, item: string): Promise<string> {
      return await Promise.resolve(`${this.count} ${item}`)
    }
    const descriptor = { value: original, enumerable: false, configurable: true, writable: true }
    const decorated = locked('stock:{0}')({}, 'original', descriptor)
    expect(decorated).toMatchObject({ enumerable: false, configurable: true, writable: true })
    expect(await decorated.value?.call(new Stock(), 'x')).toBe('40 x')
    expect([granted, decorated.value?.name, descriptor.value]).toEqual([['stock:x'], 'original', original])
  })

  it('refuses options that nobody reads, a name that is none, and what is no method', () => {
    const decorate = locked('a') as (...args: readonly unknown[]) => unknown
    expect(() => locked('a', { wait: 5 } as LockedMethodOptions)).toThrow('Unknown option `wait` of locked')
    expect(() => locked('a', { signal: 5 as never })).toThrow('Expected `signal` of locked to be a function')
    expect(() => locked('a', { locks: 5 as never })).toThrow('Expected `locks` to be what createLocks made, got 5.')
    expect(() => locked('a', { ttlMs: 5 })).toThrow('Expected `ttlMs`')
    expect(() => locked('a', { reentrant: 1 as never })).toThrow('`reentrant`')
    expect(() => locked('a', { meta: { job: 1 as never } })).toThrow('`meta.job`')
    expect(() => locked('{a}')).toThrow('Expected {a} of the lock name "{a}"')
    expect(() => locked([])).toThrow('Expected the first argument of locked to be a template')
    expect(() => decorate(undefined, { kind: 'field' })).toThrow('to stand on a method, got a field.')
    expect(() => decorate(Stock)).toThrow('got a class.')
    expect(() => decorate({}, 'count')).toThrow('got a property.')
  })
})

describe('The locks of a method with @locked', () => {
  class Own {
    readonly locks: Locks | undefined
    constructor(given?: Locks) {
      this.locks = given
    }
    @locked('own', { locks: (self: Own) => self.locks as Locks })
    async work(): Promise<number> {
      return await Promise.resolve(1)
    }
    @locked('plain')
    async plain(): Promise<number> {
      return await Promise.resolve(1)
    }
    @locked('static')
    static async make(): Promise<number> {
      return await Promise.resolve(1)
    }
  }
  class Derived extends Own {}

  it('are those of its option, which may look at the object', async () => {
    stopUsing()
    expect(await new Own(locks).work()).toBe(1)
    expect(granted).toEqual(['own'])
    await expect(new Own().work()).rejects.toThrow('Expected `locks` to be what createLocks made, got undefined.')
  })

  it('are else those of the class, of the class that it extends, or of the process', async () => {
    const other = createLocks({ backend: memoryBackend() })
    const stop = useLocks(other, Own)
    await new Derived().plain()
    await Derived.make()
    expect(granted).toEqual([])
    stop()
    await new Derived().plain()
    expect(granted).toEqual(['plain'])
  })

  it('are missing when nobody said which, and the error says how', async () => {
    stopUsing()
    await expect(new Own().plain()).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message:
        'A method with @locked does not know which locks to use: give it `{ locks }`, or call useLocks(locks) first.',
    })
  })

  it('stay when a later call of useLocks is not the one that is taken back', async () => {
    const later = useLocks(createLocks({ backend: memoryBackend() }))
    stopUsing()
    expect(await new Own().plain()).toBe(1)
    later()
    await expect(new Own().plain()).rejects.toThrow('useLocks')
  })

  it('are refused when they are none, and so is what is no class', () => {
    expect(() => useLocks({} as Locks)).toThrow('Expected `locks` to be what createLocks made, got an object.')
    expect(() => useLocks(locks, {} as never)).toThrow('Expected `forClass` to be a class, got an object.')
  })
})

describe('lockedFunction', () => {
  it('makes a function that runs under the lock of its arguments', async () => {
    const take = lockedFunction(
      locks,
      'stock:{0.id}',
      (item: { readonly id: number }, count: number) => item.id - count,
    )
    expectTypeOf(take).returns.toEqualTypeOf<Promise<number>>()
    expect([await take({ id: 42 }, 2), granted, take.length]).toEqual([40, ['stock:42'], 2])
  })

  it('keeps `this`, and rejects as the work does', async () => {
    const account = {
      id: 'x',
      fail: lockedFunction(locks, '{this.id}', function fail(this: { readonly id: string }): Promise<never> {
        return Promise.reject(new Error(this.id))
      }),
    }
    await expect(account.fail()).rejects.toThrow('x')
    expect([granted, account.fail.name]).toEqual([['x'], 'fail'])
  })

  it('takes a function for the name, and many names', async () => {
    const move = lockedFunction(
      locks,
      (from, to) => [`account:${from}`, `account:${to}`],
      async (from: string, to: string) => await Promise.resolve(from + to),
      { waitMs: 0 },
    )
    const lease = await locks.acquire('account:b')
    await expect(move('b', 'a')).rejects.toMatchObject({ code: 'HF_WAIT_TIMEOUT', resource: 'account:b' })
    await lease.release()
    expect(await move('b', 'a')).toBe('ba')
  })

  it('refuses a generator, whose body would run without the lock', () => {
    async function* pages(): AsyncGenerator<number> {
      yield await Promise.resolve(1)
    }
    function* numbers(): Generator<number> {
      yield 1
    }
    const decorate = locked('a') as (...args: readonly unknown[]) => unknown
    for (const work of [pages, numbers]) {
      expect(() => lockedFunction(locks, 'a', work as () => unknown)).toThrow('got a generator function')
      expect(() => decorate({}, 'pages', { value: work })).toThrow('to stand on a method, got a generator')
      expect(() => decorate(work, { kind: 'method' })).toThrow('to stand on a method, got a generator')
    }
  })

  it('refuses what is no function and what are no locks', () => {
    expect(() => lockedFunction(locks, 'a', 5 as never)).toThrow('Expected `work` to be a function, got 5.')
    expect(() => lockedFunction({} as Locks, 'a', () => 1)).toThrow('Expected `locks` to be what createLocks made')
    expect(() => lockedFunction(locks, 'a', () => 1, { locks } as object)).toThrow('Unknown option `locks`')
  })
})
