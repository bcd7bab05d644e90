import { InvalidArgumentError, show } from '@holdfast/core'
import type { CallContext, CallOptions } from '../call.ts'
import type { Policy } from '../policy.ts'
import { contextStorage, currentContext } from './context-storage.ts'
import type { AnyResilientOptions, ResilientOptions } from './options.ts'
import { callOptionsMaker, checkResilientOptions } from './options.ts'

/** What `resilient` makes: a decorator of methods and of classes, in the form of the standard and in the older one of TypeScript. */
export interface ResilientDecorator<Alt, Given extends readonly unknown[]> {
  /** Of a method, by the standard. */
  <This, Args extends Given, Result>(
    method: (this: This, ...args: Args) => Promise<Result>,
    context: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Promise<Result>>,
  ): (this: This, ...args: Args) => Promise<Result | Alt>
  /** Of a method, with `experimentalDecorators`. */
  <Args extends Given, Result>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<(...args: Args) => Promise<Result>>,
  ): TypedPropertyDescriptor<(...args: Args) => Promise<Result | Alt>>
  /** Of a class, in both forms. */
  (target: abstract new (...args: never[]) => object, context?: ClassDecoratorContext): void
}

type Method = (this: unknown, ...args: never[]) => unknown

/**
 * Puts a policy around a method, or around each method of a class. The method keeps its name, its length, `this` and its arguments.
 * It is one and the same for decorators by the standard (TC39, stage 3) and for those of `experimentalDecorators`, static methods too.
 * For a function, it is `policy.wrap(work)`.
 *
 * On a class it is around all methods that stand on the prototype by a name, `private` ones of TypeScript too, but not those of the
 * class that it extends, static ones, accessors and `#private` ones. Methods that return no promise return one then. A method that calls
 * another of its object asks the policy again: name the outer ones in `methods`.
 *
 * @example
 * class Stock {
 *   \@resilient(policy, { key: (item: string) => item })
 *   async read(item: string): Promise<number> { … }
 * }
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`, also where it stands on anything but a method or a class.
 */
export function resilient<Alt = never, const Args extends unknown[] = never[]>(
  policy: Policy<Alt>,
  options: ResilientOptions<Args> = {},
): ResilientDecorator<Alt, Args extends never[] ? unknown[] : Args> {
  if (typeof (policy as Partial<Policy> | null | undefined)?.execute !== 'function') {
    throw new InvalidArgumentError(
      'policy',
      `Expected the first argument of resilient to be a policy, got ${show(policy)}.`,
    )
  }
  // What its functions take is known to whoever decorates: they get the arguments of the method.
  const given = options as unknown as AnyResilientOptions
  checkResilientOptions(given)
  const protect = (method: Method): Method => protectedMethod(method, policy as Policy<unknown>, given)
  const decorate = (target: unknown, second: unknown, descriptor: unknown): unknown => {
    if (isStandardContext(second)) return decorateByStandard(target, second, protect, given)
    if (second === undefined && typeof target === 'function') return decorateClass(target as AnyClass, protect, given)
    const value: unknown = (descriptor as PropertyDescriptor | undefined)?.value
    if (typeof value !== 'function') throw notDecorable('a property')
    return { ...(descriptor as PropertyDescriptor), value: protect(value as Method) }
  }
  return decorate as ResilientDecorator<Alt, Args extends never[] ? unknown[] : Args>
}

interface StandardContext {
  readonly kind: string
}

type AnyClass = abstract new (...args: never[]) => object

function isStandardContext(second: unknown): second is StandardContext {
  return typeof second === 'object' && second !== null && typeof (second as Partial<StandardContext>).kind === 'string'
}

function decorateByStandard(
  target: unknown,
  { kind }: StandardContext,
  protect: (method: Method) => Method,
  options: AnyResilientOptions,
): unknown {
  if (kind === 'method') return protect(target as Method)
  if (kind === 'class') return decorateClass(target as AnyClass, protect, options)
  throw notDecorable(`a ${kind}`)
}

function notDecorable(what: string): InvalidArgumentError {
  return new InvalidArgumentError('resilient', `Expected @resilient to stand on a method or a class, got ${what}.`)
}

function decorateClass(target: AnyClass, protect: (method: Method) => Method, { methods }: AnyResilientOptions): void {
  const prototype = target.prototype as object
  for (const name of methods ?? Object.getOwnPropertyNames(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
    const isMethod = name !== 'constructor' && typeof descriptor?.value === 'function'
    if (isMethod) Object.defineProperty(prototype, name, { ...descriptor, value: protect(descriptor.value as Method) })
    else if (methods !== undefined) {
      throw new InvalidArgumentError(
        'methods',
        `Expected \`methods\` to name methods of ${target.name}, got "${name}".`,
      )
    }
  }
}

function protectedMethod(method: Method, policy: Policy<unknown>, options: AnyResilientOptions): Method {
  const callOptions = callOptionsMaker(options)
  const isContextual = options.context === true
  const run = isContextual ? runInContext : runPlain
  function guarded(this: unknown, ...args: never[]): Promise<unknown> {
    try {
      const told = callOptions?.(args)
      return run(policy, () => method.apply(this, args), told)
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return Object.defineProperties(guarded, {
    name: { value: method.name, configurable: true },
    length: { value: method.length, configurable: true },
  })
}

type Run = (policy: Policy<unknown>, work: () => unknown, told: CallOptions | undefined) => Promise<unknown>

const runPlain: Run = (policy, work, told) => policy.execute(() => work(), told)

const runInContext: Run = (policy, work, told) => {
  const storage = contextStorage()
  const signal = told?.signal ?? currentContext()?.signal
  return policy.execute((context: CallContext) => storage.run(context, work), { ...told, signal })
}
