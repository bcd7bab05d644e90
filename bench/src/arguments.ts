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
  help: { type: 'boolean', short: 'h' },
} as const

/** What `--help` prints. */
export function usageOf(suites: readonly Suite[]): string {
  return `Measures Holdfast, and other libraries in the same run, on servers of its own.

  npm run bench -- [SUITE] [options]

  --smoke        every measure in tiny size, in under a minute: shows that it runs, measures nothing
  --only NAME    one measure, one row of it, or all on one store
  --json         a line of JSON for each row
  --save         keeps the figures in bench/results; only of a whole run
  --help         this text

${suites.map(({ name, measures }) => `Suite ${name}:\n${measures.map(measure => `  ${measure}\n`).join('')}`).join('\n')}
${isOnly(suites) ? `Without SUITE it is ${suites[0].name}. ` : ''}Exit codes: 0 all was measured, 1 something broke or was not understood.
`
}

/**
 * @returns undefined when help was asked for
 * @throws {UsageError}
 */
export function readArguments(words: readonly string[], suites: readonly Suite[]): BenchArguments | undefined {
  const { values, positionals } = parse(words)
  if (values.help === true) return undefined
  const suite = suiteOf(positionals, suites)
  const { json: isJson = false, smoke: isSmoke = false, save: isSaved = false, only } = values
  if (isSaved && (isSmoke || only !== undefined)) {
    throw new UsageError('Expected --save without --smoke and --only: what is kept is one whole run.')
  }
  return { suite, measures: measuresOf(suite, only), isJson, isSmoke, isSaved }
}

// While there is only one, nobody need name it.
function suiteOf(names: readonly string[], suites: readonly Suite[]): Suite {
  if (names.length === 0 && isOnly(suites)) return suites[0]
  const suite = suites.find(({ name }) => name === names[0])
  if (suite !== undefined && names.length === 1) return suite
  const seen = names.length === 0 ? 'none' : names.join(' ')
  throw new UsageError(`Expected one suite of: ${suites.map(({ name }) => name).join(', ')}; got ${seen}.`)
}

function isOnly(suites: readonly Suite[]): suites is readonly [Suite] {
  return suites.length === 1
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
