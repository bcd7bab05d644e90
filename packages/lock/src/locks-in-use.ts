import { InvalidArgumentError, show } from '@holdfast/core'
import type { Locks } from './locks.ts'

type AnyClass = abstract new (...args: never[]) => object

const ofClasses = new WeakMap<object, Locks>()
let ofProcess: Locks | undefined

/**
 * Says which locks methods with `@locked` use that name none themselves: those of a class (and of classes that extend it), or of all
 * the process. The last call counts; the returned function takes it back.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function useLocks(locks: Locks, forClass?: AnyClass): () => void {
  checkLocks('locks', locks)
  if (forClass !== undefined && typeof forClass !== 'function') {
    throw new InvalidArgumentError('forClass', `Expected \`forClass\` to be a class, got ${show(forClass)}.`)
  }
  if (forClass === undefined) {
    ofProcess = locks
    return () => {
      if (ofProcess === locks) ofProcess = undefined
    }
  }
  ofClasses.set(forClass, locks)
  return () => {
    if (ofClasses.get(forClass) === locks) ofClasses.delete(forClass)
  }
}

/**
 * The locks that were said to be used for an object, or for a class where it is `this` of a static method.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when none were
 */
export function locksInUse(self: unknown): Locks {
  const isObject = typeof self === 'object' && self !== null
  let type: unknown = isObject ? (self as { readonly constructor?: unknown }).constructor : self
  for (; typeof type === 'function'; type = Object.getPrototypeOf(type)) {
    const locks = ofClasses.get(type)
    if (locks !== undefined) return locks
  }
  if (ofProcess !== undefined) return ofProcess
  throw new InvalidArgumentError(
    'locks',
    'A method with @locked does not know which locks to use: give it `{ locks }`, or call useLocks(locks) first.',
  )
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkLocks(argument: string, locks: unknown): asserts locks is Locks {
  if (typeof (locks as Partial<Locks> | null | undefined)?.using === 'function') return
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be what createLocks made, got ${show(locks)}.`)
}
