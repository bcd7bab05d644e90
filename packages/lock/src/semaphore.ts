import { InvalidArgumentError, NAME_BYTES_MAX, checkKeys, show } from '@holdfast/core'
import type { Lockable } from './lockable.ts'
import type { NamedLockParts } from './named-lock.ts'
import { NamedLock } from './named-lock.ts'

/** What a semaphore is like. */
export interface SemaphoreOptions {
  /**
   * How many may hold it at a time: 1 to 1,000,000. It is not kept in the store: each caller goes by its own, so give all the same. While
   * they differ, who has a larger one may be let in beside those who have a smaller one, and who waits first holds up those behind.
   */
  readonly limit: number
}

const KNOWN: ReadonlySet<string> = new Set(['limit'])
const LIMIT_MAX = 1_000_000
/** Of the name with the greatest slot: `#999999`. */
const SLOT_BYTES_MAX = 7

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function semaphore(
  { backend, name, defaults }: Pick<NamedLockParts, 'backend' | 'name' | 'defaults'>,
  options: SemaphoreOptions,
): Lockable {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', `Expected semaphore to be given \`{ limit }\`, got ${show(options)}.`)
  }
  checkKeys('semaphore', options, KNOWN)
  const { limit } = options
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    throw new InvalidArgumentError(
      'limit',
      `Expected \`limit\` to be an integer from 1 to ${LIMIT_MAX}, got ${show(limit)}.`,
    )
  }
  // Permits are not of one kind with locks that one waits for: a cycle of waits for them may be resolved by others.
  const lock = new NamedLock({ backend, name, mode: { kind: 'permit', limit }, defaults, cycles: undefined })
  const bytes = new TextEncoder().encode(name).length
  const bytesMax = NAME_BYTES_MAX - SLOT_BYTES_MAX
  if (bytes <= bytesMax) return lock
  throw new InvalidArgumentError(
    'name',
    `Expected \`name\` to be a name of at most ${bytesMax} bytes of UTF-8, as its permits are named ${show('name#0')}, got ${bytes} bytes.`,
  )
}
