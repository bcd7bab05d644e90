import { parseArgs } from 'node:util'
import type { Suite } from './suite.ts'

/** What the command line asks for. */
export interface BenchArguments {
  readonly suite: Suite
  /** Names of the measures to run. */
  readonly measures: readonly string[]
  readonly isJson: boolean
  readonly isSmoke: boolean
  readonly isSaved: boolean
}

/** Something the person at the keyboard can act on; printed without a stack. */
export class UsageError extends Error {}

const OPTIONS = {
  json: { type: 'boolean' },
  smoke: { type: 'boolean' },
  save: { type: 'boolean' },
  only: { type: 'string' },
} as const

/** @throws {UsageError} */
export function readArguments(words: readonly string[], suites: readonly Suite[]): BenchArguments {
  const { values, positionals } = parse(words)
  const [suiteName, ...others] = positionals
  const suite = suites.find(candidate => candidate.name === suiteName)
  if (suite === undefined || others.length > 0) {
    const seen = positionals.length === 0 ? 'none' : positionals.join(' ')
    throw new UsageError(`Expected one suite of: ${suites.map(({ name }) => name).join(', ')}; got ${seen}.`)
  }
  const { json: isJson = false, smoke: isSmoke = false, save: isSaved = false, only } = values
  if (isSaved && (isSmoke || only !== undefined)) {
    throw new UsageError('Expected --save without --smoke and --only: what is kept is one whole run.')
  }
  return { suite, measures: measuresOf(suite, only), isJson, isSmoke, isSaved }
}

function parse(
  words: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

// `redis/handoff-16`, a row of it such as `redis/handoff-16:jain`, or all that is measured on `redis`.
function measuresOf(suite: Suite, only: string | undefined): readonly string[] {
  if (only === undefined) return suite.measures
  const [name = ''] = only.split(':')
  const found = suite.measures.filter(measure => measure === name || measure.startsWith(`${name}/`))
  if (found.length > 0) return found
  throw new UsageError(`Expected --only to be one of: ${suite.measures.join(', ')}; got ${JSON.stringify(only)}.`)
}
