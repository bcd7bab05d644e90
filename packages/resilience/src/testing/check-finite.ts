import { InvalidArgumentError, show } from '@holdfast/core'

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it is no finite number of at least `min`. */
export function checkFinite(argument: string, value: unknown, min: number): asserts value is number {
  if (typeof value === 'number' && value >= min && value < Infinity) return
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a number >= ${min}, got ${show(value)}.`)
}
