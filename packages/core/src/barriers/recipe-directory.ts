import { InvalidArgumentError } from '../errors.ts'
import { checkName, show } from '../names.ts'

const NAME_BYTES_MAX = 180
const encoder = new TextEncoder()

/** What has a directory of records for each of its names. */
export type Recipe = 'barrier' | 'double-barrier' | 'election' | 'latch'

/**
 * Refuses what cannot be the name of one: as other names, but with room for what its directory is called.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkRecipeName(recipe: Recipe, name: unknown): asserts name is string {
  checkName('name', name)
  const bytes = encoder.encode(name).length
  if (bytes <= NAME_BYTES_MAX) return
  throw new InvalidArgumentError(
    'name',
    `Expected the name of a ${recipe} to have at most ${NAME_BYTES_MAX} bytes of UTF-8, got ${bytes} bytes: ${show(name)}.`,
  )
}

/** Where its records are kept. */
export function recipeDirectory(recipe: Recipe, name: string): string {
  return `${recipe}:${name}`
}
