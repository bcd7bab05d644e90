import { onAbort, orAborted } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { ConflictError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { checkKeys, checkSignal } from '../options.ts'
import type { Random } from '../random.ts'
import { systemRandom } from '../random.ts'
import type { Cell } from './cell.ts'
import { sameData } from './same-data.ts'

/** How an update is tried. */
export interface UpdateOptions {
  /** How often it is read and written at most, 1 to 1,000. @default 10 */
  readonly attemptsMax?: number
  /**
   * The longest pause after the first conflict, in milliseconds, 0 to 60,000; it doubles with each further one, up to 64 times as long.
   * Each pause is drawn at random from 0 to that, so that those who met do not meet again (full jitter).
   *
   * @default 5
   * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
   */
  readonly backOffMs?: number
  /** Ends the trying between two steps. What was sent by then may have been written. */
  readonly signal?: AbortSignal
  /** @default systemClock */
  readonly clock?: Clock
  /** @default systemRandom */
  readonly random?: Random
}

/** What became of an update. */
export type UpdateOutcome<T> =
  /** `value` is what is there now, also what the store made of it (the version of a row). */
  | { readonly kind: 'updated'; readonly value: T; readonly attempts: number }
  /** `change` left it as it was. */
  | { readonly kind: 'kept'; readonly value: T | undefined; readonly attempts: number }

const DEFAULTS = Object.freeze({ attemptsMax: 10, backOffMs: 5, clock: systemClock, random: systemRandom })
const KNOWN: ReadonlySet<string> = new Set(['attemptsMax', 'backOffMs', 'signal', 'clock', 'random'])
const DOUBLINGS_MAX = 6

/**
 * Reads, changes and writes back only if nobody else has written meanwhile; else it begins anew with what is there now. Often all
 * that a lock was wanted for: it waits for nobody, and who dies in the middle of it has changed nothing.
 *
 * ```ts
 * const stock = sqlRow(pool, { table: 'stock', key: { item: 42 }, unchanged: 'version' })
 * await updateIfUnchanged(stock, row => (row === undefined || row.left === 0 ? undefined : { ...row, left: row.left - 1 }))
 * ```
 *
 * @param change makes the new value from what was read (undefined = nothing is there); undefined leaves it as it is. What it is given
 *   it may change in place, and has to answer then: to change it and to answer undefined (a forgotten `return`) is refused, and nothing
 *   was written. It may be called several times, so it should change nothing else.
 * @throws {ConflictError} `HF_CONFLICT` when others were quicker each time; nothing was written
 * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when no answer came to a write; it is not tried again
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export async function updateIfUnchanged<T>(
  cell: Cell<T>,
  change: (value: T | undefined) => T | undefined | Promise<T | undefined>,
  options: UpdateOptions = {},
): Promise<UpdateOutcome<T>> {
  check(cell, change, options)
  const { attemptsMax = DEFAULTS.attemptsMax, backOffMs = DEFAULTS.backOffMs, signal } = options
  const { clock = DEFAULTS.clock, random = DEFAULTS.random } = options
  for (let attempts = 1; ; attempts += 1) {
    signal?.throwIfAborted()
    const seen = await orAborted(cell.read(), signal)
    const before = copyOf(seen.value)
    const value = await orAborted(Promise.resolve(change(seen.value)), signal)
    if (value === undefined) {
      checkKept(seen.value, before)
      return { kind: 'kept', value: seen.value, attempts }
    }
    const written = await orAborted(cell.writeIfUnchanged(seen, value), signal)
    if (written !== false) return { kind: 'updated', value: written === true ? value : written.value, attempts }
    if (attempts >= attemptsMax) {
      const times = attempts === 1 ? 'once' : `${attempts} times`
      throw new ConflictError(cell.name, { expected: 'as it was read', actual: `changed by others, ${times}` })
    }
    const delayMs = random.next() * backOffMs * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX)
    await pause(clock, delayMs, signal)
  }
}

// A forgotten `return` would look like success: `kept`, with the value as it was to be.
function checkKept(value: unknown, before: Copy | undefined): void {
  if (before === undefined) return
  const after = copyOf(value)
  if (after !== undefined && sameData(before.data, after.data)) return
  throw new InvalidArgumentError(
    'change',
    'Expected `change` to return the new value, got undefined after it had changed what it was given. Nothing was written.',
  )
}

interface Copy {
  readonly data: unknown
}

// None of what cannot be changed in place, or has in it what is no data, such as a function.
function copyOf(value: unknown): Copy | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  try {
    return { data: structuredClone(value) }
  } catch {
    return undefined
  }
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(() => end(resolve), delayMs, { background: false })
    const end = (settle: () => void): void => {
      timer.cancel()
      stopListening()
      settle()
    }
    const stopListening = onAbort(signal, reason => end(() => reject(reason)))
  })
}

function check<T>(cell: Cell<T>, change: unknown, options: UpdateOptions): void {
  if (typeof cell?.writeIfUnchanged !== 'function') {
    throw new InvalidArgumentError(
      'cell',
      `Expected \`cell\` to be a cell (recordCell(), sqlRow(), redisValue(), …), got ${show(cell)}.`,
    )
  }
  if (typeof change !== 'function') {
    throw new InvalidArgumentError('change', `Expected \`change\` to be a function, got ${show(change)}.`)
  }
  checkKeys('updateIfUnchanged', options, KNOWN)
  checkSignal(options.signal)
  const { attemptsMax, backOffMs } = options
  if (attemptsMax !== undefined && !(Number.isInteger(attemptsMax) && attemptsMax >= 1 && attemptsMax <= 1_000)) {
    throw new InvalidArgumentError(
      'attemptsMax',
      `Expected \`attemptsMax\` to be an integer from 1 to 1000, got ${show(attemptsMax)}.`,
    )
  }
  if (backOffMs !== undefined && !(typeof backOffMs === 'number' && backOffMs >= 0 && backOffMs <= 60_000)) {
    throw new InvalidArgumentError(
      'backOffMs',
      `Expected \`backOffMs\` to be a number from 0 to 60000, got ${show(backOffMs)}.`,
    )
  }
}
