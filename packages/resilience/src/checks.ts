import type { Clock, Random } from '@holdfast/core'
import { checkDurationMs, checkKeys, checkName, InvalidArgumentError, show, WAIT_MS } from '@holdfast/core'
import type { StageOptions } from './stage.ts'

/** What a number may be. */
export interface NumberRange {
  readonly min: number
  readonly max: number
}

const MODES: readonly unknown[] = ['enforce', 'shadow', 'off']

/**
 * Refuses options that nobody reads, and what is wrong with those that all policies have.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkStageOptions(policy: string, options: StageOptions, known: ReadonlySet<string>): void {
  checkKeys(policy, options ?? null, known)
  if (options.name !== undefined) checkName('name', options.name)
  checkSources(options as Sources)
  if (options.mode === undefined || MODES.includes(options.mode)) return
  throw new InvalidArgumentError(
    'mode',
    `Expected \`mode\` to be 'enforce', 'shadow' or 'off', got ${show(options.mode)}.`,
  )
}

interface Sources {
  readonly clock?: unknown
  readonly random?: unknown
}

// Not all policies have them; where they are given they have to be what they are called.
function checkSources({ clock, random }: Sources): void {
  if (clock !== undefined && typeof (clock as Partial<Clock> | null)?.setTimer !== 'function') {
    throw new InvalidArgumentError('clock', `Expected \`clock\` to be a Clock, got ${show(clock)}.`)
  }
  if (random !== undefined && typeof (random as Partial<Random> | null)?.next !== 'function') {
    throw new InvalidArgumentError('random', `Expected \`random\` to be a Random, got ${show(random)}.`)
  }
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no integer in the range. */
export function checkInteger(argument: string, value: unknown, { min, max }: NumberRange): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be an integer from ${min} to ${max}, got ${show(value)}.`,
  )
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no number in the range. */
export function checkNumber(argument: string, value: unknown, { min, max }: NumberRange): asserts value is number {
  if (typeof value === 'number' && value >= min && value <= max) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be a number from ${min} to ${max}, got ${show(value)}.`,
  )
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no integer of milliseconds from `min` on. */
export function checkMs(argument: string, value: unknown, min = 0): asserts value is number {
  checkDurationMs(argument, value, { min, max: WAIT_MS.max })
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkOneOf(argument: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value === 'string' && allowed.includes(value)) return
  const names = allowed.map(name => `'${name}'`).join(', ')
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be one of ${names}, got ${show(value)}.`)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkFunction(argument: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a function, got ${show(value)}.`)
}
