import { describe, expect, it } from 'vitest'
import type { Call } from '../call.ts'
import { pipeline, policyOf } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { systemClock } from '@holdfast/core'
import { currentContext } from './context-storage.ts'
import { runLegacy } from './legacy.fixture.ts'
import { resilient } from './resilient.ts'

/** Counts its calls, and keeps what each was told. */
function counting(): Policy & { readonly calls: Call[] } {
  const calls: Call[] = []
  return policyOf(
    {
      kind: 'gate',
      policy: 'counting',
      clock: systemClock,
      rule: undefined,
      describe: () => ({}),
      enter: call => calls.push(call),
      leave: () => {},
      undo: () => {},
    },
    { calls },
  )
}

interface StockLike {
  count: number
  read(item: string, times?: number): Promise<number>
}

const LEGACY = `
  class Stock {
    count = 40
    @resilient(policy, { key: (item) => item })
    async read(item, times = 1) { return this.count + item.length * times }
    @resilient(policy)
    static async open(...args) { return [this === Stock, args.length] }
  }
  exports.Stock = Stock
  @resilient(policy)
  class Whole {
    base = 1
    async later(by) { return this.base + by }
    now(by) { return this.base + by }
    get value() { return this.base }
    static make() { return new Whole() }
  }
  exports.Whole = Whole
`

describe('a method by the standard', () => {
  it('runs under the policy, with its `this`, its arguments, its name and its length', async () => {
    const policy = counting()
    class Stock implements StockLike {
      count = 40
      @resilient(policy, {
        key: (item: string) => item,
        cost: 2,
        priority: (_item: string, times: number = 1) => (times > 1 ? 'low' : 'high'),
      })
      async read(item: string, times = 1): Promise<number> {
        return await Promise.resolve(this.count + item.length * times)
      }
    }
    const stock = new Stock()
    await expect(stock.read('ab')).resolves.toBe(42)
    await expect(stock.read('abc', 2)).resolves.toBe(46)
    expect([stock.read.name, stock.read.length]).toEqual(['read', 1])
    expect(policy.calls).toMatchObject([
      { key: 'ab', cost: 2, priority: 'high' },
      { key: 'abc', cost: 2, priority: 'low' },
    ])
  })

  it('may be static or private', async () => {
    const policy = counting()
    class Stock {
      @resilient(policy)
      static async open(...args: number[]): Promise<number[]> {
        return await Promise.resolve(args)
      }
      @resilient(policy)
      async #hidden(): Promise<string> {
        return await Promise.resolve('seen')
      }
      reveal(): Promise<string> {
        return this.#hidden()
      }
    }
    await expect(Stock.open(1, 2)).resolves.toEqual([1, 2])
    await expect(new Stock().reveal()).resolves.toBe('seen')
    expect(policy.calls).toHaveLength(2)
  })

  it('rejects, and does not throw, when a function of its options throws', async () => {
    const key = (): string => {
      throw new Error('no key')
    }
    class Stock {
      @resilient(counting(), { key })
      async read(): Promise<number> {
        return await Promise.resolve(1)
      }
    }
    await expect(new Stock().read()).rejects.toThrow('no key')
  })
})

describe('a method of experimentalDecorators', () => {
  it('runs under the policy, with its `this`, its arguments, its name and its length', async () => {
    const policy = counting()
    const { Stock } = (await runLegacy(LEGACY, { policy })) as {
      Stock: (new () => StockLike) & { open(...args: number[]): unknown }
    }
    const stock = new Stock()
    await expect(stock.read('ab')).resolves.toBe(42)
    expect([stock.read.name, stock.read.length]).toEqual(['read', 1])
    await expect(Stock.open(1, 2)).resolves.toEqual([true, 2])
    expect(policy.calls.map(({ key }) => key)).toEqual(['ab', undefined])
  })

  it('is decorated by hand as well, and its descriptor stays as it was', async () => {
    const original = (by: number): Promise<number> => Promise.resolve(by)
    const descriptor = { value: original, enumerable: false, configurable: true, writable: true }
    const decorated = resilient(counting())({}, 'original', descriptor)
    expect(decorated).toMatchObject({ enumerable: false, configurable: true, writable: true })
    await expect(decorated.value?.(7)).resolves.toBe(7)
    expect(descriptor.value).toBe(original)
  })
})

describe('a class', () => {
  it('by the standard has the policy around each of its own methods', async () => {
    const policy = counting()
    class Base {
      inherited(): number {
        return 1
      }
    }
    @resilient(policy)
    class Whole extends Base {
      base = 1
      async later(by: number): Promise<number> {
        return await Promise.resolve(this.base + by)
      }
      now(by: number): number {
        return this.base + by
      }
      get value(): number {
        return this.base
      }
      static make(): Whole {
        return new Whole()
      }
    }
    const whole = Whole.make()
    await expect(whole.later(2)).resolves.toBe(3)
    await expect(Promise.resolve(whole.now(4))).resolves.toBe(5)
    expect(whole.now(4)).toBeInstanceOf(Promise)
    expect([whole.value, whole.inherited(), whole instanceof Whole, Whole.name, whole.now.name]).toEqual([
      1,
      1,
      true,
      'Whole',
      'now',
    ])
    expect(policy.calls).toHaveLength(3)
  })

  it('of experimentalDecorators has it too', async () => {
    const policy = counting()
    const { Whole } = (await runLegacy(LEGACY, { policy })) as {
      Whole: { make(): { value: number; later(by: number): Promise<number>; now(by: number): unknown } }
    }
    const whole = Whole.make()
    await expect(whole.later(2)).resolves.toBe(3)
    await expect(whole.now(4)).resolves.toBe(5)
    expect([whole.value, policy.calls.length]).toEqual([1, 2])
  })

  it('has it around those that `methods` names, and refuses names of none', async () => {
    const policy = counting()
    @resilient(policy, { methods: ['outer'] })
    class Part {
      async outer(): Promise<number> {
        return await this.inner()
      }
      async inner(): Promise<number> {
        return await Promise.resolve(1)
      }
    }
    await expect(new Part().outer()).resolves.toBe(1)
    expect(policy.calls).toHaveLength(1)
    expect(() => resilient(policy, { methods: ['gone'] })(Part)).toThrow(
      'Expected `methods` to name methods of Part, got "gone".',
    )
  })
})

describe('the context of a decorated method', () => {
  it('is there with `context: true` alone, and methods inside are part of the call', async () => {
    const policy = pipeline(counting())
    class Stock {
      @resilient(policy, { context: true, key: 'outer', timeoutMs: 60_000 })
      async outer(): Promise<unknown[]> {
        await Promise.resolve()
        return [currentContext()?.key, await this.inner(), currentContext()?.key]
      }
      @resilient(policy, { context: true, priority: 'low' })
      async inner(): Promise<unknown> {
        const { key, priority, remainingMs = Infinity } = (await Promise.resolve(currentContext())) ?? {}
        return [key, priority, remainingMs < Infinity]
      }
      @resilient(policy)
      async without(): Promise<unknown> {
        return await Promise.resolve(currentContext())
      }
    }
    const stock = new Stock()
    await expect(stock.outer()).resolves.toEqual(['outer', ['outer', 'low', true], 'outer'])
    await expect(stock.without()).resolves.toBeUndefined()
    expect(currentContext()).toBeUndefined()
  })

  it('ends with the signal that was taken from the arguments', async () => {
    class Stock {
      @resilient(counting(), { context: true, signal: (signal: AbortSignal) => signal })
      async wait(_signal: AbortSignal): Promise<never> {
        return await new Promise((_resolve, reject) => {
          const signal = currentContext()?.signal
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
        })
      }
    }
    const caller = new AbortController()
    const run = new Stock().wait(caller.signal)
    caller.abort(new Error('gone'))
    await expect(run).rejects.toThrow('gone')
  })
})

describe('resilient', () => {
  it('refuses what is no policy, options that nobody reads, and what is no method and no class', () => {
    const decorate = resilient(counting()) as (...args: readonly unknown[]) => unknown
    expect(() => resilient({} as Policy)).toThrow(
      'Expected the first argument of resilient to be a policy, got an object.',
    )
    expect(() => resilient(counting(), { keys: 'a' } as object)).toThrow('Unknown option `keys` of resilient')
    expect(() => resilient(counting(), { methods: [] })).toThrow('Expected `methods` to be an array of names')
    expect(() => decorate(undefined, { kind: 'field' })).toThrow('to stand on a method or a class, got a field.')
    expect(() => decorate({}, 'count')).toThrow('got a property.')
    expect(() => decorate({}, 'count', { get: () => 1 })).toThrow('got a property.')
  })
})
