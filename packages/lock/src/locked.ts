import { InvalidArgumentError } from '@holdfast/core'
import type { LockName, LockedCall, LockedMethodOptions, LockedOptions } from './locked-options.ts'
import { lockedCalls } from './locked-options.ts'
import type { Locks } from './locks.ts'
import { checkLocks, locksInUse } from './locks-in-use.ts'
import { checkWork, isGeneratorFunction } from './work.ts'

/** What `locked` makes: a decorator of methods, in the form of the standard and in the older one of TypeScript. */
export interface LockedDecorator<Given extends readonly unknown[], Self> {
  /** By the standard. */
  <This extends Self, Args extends Given, Result>(
    method: (this: This, ...args: Args) => Promise<Result>,
    context: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Promise<Result>>,
  ): (this: This, ...args: Args) => Promise<Result>
  /** With `experimentalDecorators`. */
  <Args extends Given, Result>(
    target: Self,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<(...args: Args) => Promise<Result>>,
  ): TypedPropertyDescriptor<(...args: Args) => Promise<Result>>
}

type Method = (this: unknown, ...args: never[]) => unknown

/**
 * Runs each call of a method while it holds the lock of that name. The method keeps its name, its length, `this`, its arguments and
 * what it returns. It is one and the same for decorators by the standard (TC39, stage 3) and for those of
 * `experimentalDecorators`, static methods too. For a function, see `lockedFunction`.
 *
 * A method that must know whether the lock is still held takes `{ reentrant: true }` and asks `locks.current(name)`.
 *
 * @example
 * class Stock {
 *   \@locked('stock:{0}', { waitMs: 5_000 })
 *   async take(item: string, count: number): Promise<number> { … }
 * }
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`, also where it stands on anything but a method. A call rejects with it when a
 *   value that the name is made of is missing.
 */
export function locked<const Args extends unknown[] = never[], Self = unknown>(
  name: LockName<Args>,
  options: LockedMethodOptions<Args, Self> = {},
): LockedDecorator<Args extends never[] ? unknown[] : Args, NoInfer<Self>> {
  // What its functions take is known to whoever decorates: they get the arguments of the method.
  const run = lockedCalls('locked', name as LockName<never[]>, options as unknown as LockedMethodOptions)
  const locksOf = locksMaker(options.locks as Locks | ((self: unknown) => Locks) | undefined)
  const protect = (method: Method): Method => {
    if (isGeneratorFunction(method)) throw notDecorable('a generator, whose body would run without the lock')
    return lockedMethod(method, run, locksOf)
  }
  const decorate = (target: unknown, second: unknown, descriptor: unknown): unknown => {
    const kind = (second as { readonly kind?: unknown } | null | undefined)?.kind
    if (kind === 'method') return protect(target as Method)
    if (typeof kind === 'string') throw notDecorable(`a ${kind}`)
    if (second === undefined) throw notDecorable('a class')
    const value: unknown = (descriptor as PropertyDescriptor | undefined)?.value
    if (typeof value !== 'function') throw notDecorable('a property')
    return { ...(descriptor as PropertyDescriptor), value: protect(value as Method) }
  }
  return decorate as LockedDecorator<Args extends never[] ? unknown[] : Args, Self>
}

/**
 * A function that runs each call of `work` while it holds the lock of that name: `@locked` for those who have no class. It keeps the
 * name, the length and `this`.
 *
 * @example
 * const take = lockedFunction(locks, 'stock:{0}', async (item, count) => { … })
 * await take('42', 1)
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`. A call rejects with it when a value that the name is made of is missing.
 */
export function lockedFunction<This, Args extends unknown[], Result>(
  locks: Locks,
  name: LockName<NoInfer<Args>>,
  work: (this: This, ...args: Args) => Result,
  options: LockedOptions<NoInfer<Args>> = {},
): (this: This, ...args: Args) => Promise<Awaited<Result>> {
  checkLocks('locks', locks)
  checkWork(work)
  const run = lockedCalls('lockedFunction', name as LockName<never[]>, options as unknown as LockedMethodOptions)
  return lockedMethod(work as unknown as Method, run, () => locks) as unknown as (
    this: This,
    ...args: Args
  ) => Promise<Awaited<Result>>
}

function locksMaker(locks: Locks | ((self: unknown) => Locks) | undefined): (self: unknown) => Locks {
  if (locks === undefined) return locksInUse
  if (typeof locks !== 'function') {
    checkLocks('locks', locks)
    return () => locks
  }
  return self => {
    const found: unknown = locks(self)
    checkLocks('locks', found)
    return found
  }
}

function lockedMethod(method: Method, run: LockedCall, locksOf: (self: unknown) => Locks): Method {
  async function guarded(this: unknown, ...args: never[]): Promise<unknown> {
    return await run({ locks: locksOf(this), self: this, args }, () => method.apply(this, args))
  }
  return Object.defineProperties(guarded, {
    name: { value: method.name, configurable: true },
    length: { value: method.length, configurable: true },
  })
}

function notDecorable(what: string): InvalidArgumentError {
  return new InvalidArgumentError('locked', `Expected @locked to stand on a method, got ${what}.`)
}
