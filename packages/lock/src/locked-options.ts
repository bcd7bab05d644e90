import {
  ACQUIRE_OPTION_NAMES,
  InvalidArgumentError,
  checkAcquireOptions,
  checkBoolean,
  checkKeys,
  encodeMeta,
  show,
} from '@holdfast/core'
import type { UsingOptions } from './lockable.ts'
import type { Locks } from './locks.ts'
import { nameTemplate } from './name-template.ts'

/**
 * The lock of a call, or locks that are taken together: a template of the call's arguments (`stock:{0}`, `order:{1.id}`,
 * `{this.tenant}:report`), some templates, or a function that makes one name or some from the arguments.
 */
export type LockName<Args extends readonly unknown[]> =
  | string
  | readonly string[]
  | ((...args: Args) => string | readonly string[])

/** How the lock of a call is held: as with `using`. */
export interface LockedOptions<Args extends readonly unknown[] = never[]> extends Omit<UsingOptions, 'signal'> {
  /** Ends the waiting of a call, from its arguments. @default none */
  readonly signal?: (...args: Args) => AbortSignal | undefined
}

/** The same of a decorated method. */
export interface LockedMethodOptions<
  Args extends readonly unknown[] = never[],
  This = never,
> extends LockedOptions<Args> {
  /** Whose locks they are, or where an object has them. @default what `useLocks` was given */
  readonly locks?: Locks | ((self: This) => Locks)
}

const KNOWN: ReadonlySet<string> = new Set([...ACQUIRE_OPTION_NAMES, 'reentrant'])
const METHOD_KNOWN: ReadonlySet<string> = new Set([...KNOWN, 'locks'])

/** A call under its lock. */
export type LockedCall = (
  call: { readonly locks: Locks; readonly self: unknown; readonly args: readonly unknown[] },
  work: () => unknown,
) => Promise<unknown>

/**
 * What runs calls under the lock of their name.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function lockedCalls(where: string, name: LockName<never[]>, options: LockedMethodOptions): LockedCall {
  checkKeys(where, options, where === 'locked' ? METHOD_KNOWN : KNOWN)
  const { signal, locks: _locks, ...using } = options
  if (signal !== undefined && typeof signal !== 'function') {
    throw new InvalidArgumentError(
      'signal',
      `Expected \`signal\` of ${where} to be a function of the arguments, got ${show(signal)}.`,
    )
  }
  checkAcquireOptions(using, KNOWN)
  checkBoolean('reentrant', using.reentrant)
  encodeMeta(using.meta)
  const namesOf = namesMaker(where, name)
  return async ({ locks, self, args }, work) => {
    const names = namesOf(self, args)
    const given = signal?.(...(args as never[]))
    const all = given === undefined ? using : { ...using, signal: given }
    return await (typeof names === 'string' ? locks.using(names, work, all) : locks.all(names).using(work, all))
  }
}

type NamesOf = (self: unknown, args: readonly unknown[]) => string | readonly string[]

function namesMaker(where: string, name: LockName<never[]>): NamesOf {
  if (typeof name === 'function') return (_self, args) => name(...(args as never[]))
  if (typeof name === 'string') return nameTemplate(name)
  if (!Array.isArray(name) || name.length === 0) {
    throw new InvalidArgumentError(
      'name',
      `Expected the first argument of ${where} to be a template, some templates or a function, got ${show(name)}.`,
    )
  }
  const templates = (name as readonly string[]).map(nameTemplate)
  return (self, args) => templates.map(template => template(self, args))
}
