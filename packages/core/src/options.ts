import { InvalidArgumentError } from './errors.ts'
import { isPromise, show } from './names.ts'

/** The options that a text alone, in place of all options, is meant for. */
const ADDRESS_NAMES = ['url', 'connect']

/**
 * Refuses an options object with a key that nobody reads: most often a typing error, which would otherwise be a silent default.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkKeys(where: string, options: unknown, known: ReadonlySet<string>): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw noObject(where, options, known)
  }
  // It has no keys of its own: all that it comes to would be left out in silence.
  if (isPromise(options)) throw noObject(where, options, known)
  for (const key of Object.keys(options)) {
    if (known.has(key)) continue
    const names = [...known].map(name => `\`${name}\``).join(', ')
    throw new InvalidArgumentError(key, `Unknown option \`${key}\` of ${where}; it has ${names}.`)
  }
}

/**
 * As `checkKeys`, for options that must be given.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkGivenKeys(where: string, options: unknown, known: ReadonlySet<string>): void {
  if (options === undefined) throw noObject(where, options, known)
  checkKeys(where, options, known)
}

/** The options without those that are given as undefined: they count as left out. */
export function givenOptions<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O
}

/** What a duration may be, in milliseconds. */
export interface DurationRange {
  readonly min: number
  readonly max: number
}

/** A day: the longest lease. */
export const TTL_MS: DurationRange = { min: 100, max: 86_400_000 }

/** As long as a timer can run: about 24.8 days. */
export const WAIT_MS: DurationRange = { min: 0, max: 2_147_483_647 }

/**
 * Refuses a duration that is no integer or out of range.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkDurationMs(argument: string, value: unknown, range: DurationRange): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= range.min && (value as number) <= range.max) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be an integer from ${range.min} to ${range.max} (milliseconds), got ${show(value)}.`,
  )
}

/**
 * Refuses what is no `AbortSignal`.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkSignal(value: unknown): asserts value is AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return
  const got = value instanceof AbortController ? 'an AbortController: pass `controller.signal`' : show(value)
  throw new InvalidArgumentError('signal', `Expected \`signal\` to be an AbortSignal, got ${got}.`)
}

/**
 * Refuses what is neither absent nor a boolean.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkBoolean(argument: string, value: unknown): asserts value is boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be true or false, got ${show(value)}.`)
}

function noObject(where: string, got: unknown, known: ReadonlySet<string>): InvalidArgumentError {
  const address = typeof got === 'string' ? ADDRESS_NAMES.find(name => known.has(name)) : undefined
  const hint = address === undefined ? '' : `: pass \`{ ${address} }\``
  return new InvalidArgumentError(where, `Expected the options of ${where} to be an object, got ${show(got)}${hint}.`)
}
