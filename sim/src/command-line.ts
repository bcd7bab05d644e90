import { parseArgs } from 'node:util'

/** What was asked for. */
export type Request =
  | { readonly kind: 'suite'; readonly suite: string; readonly seeds: readonly number[]; readonly isJson: boolean }
  | { readonly kind: 'plots' }

/** One sentence for whoever typed it. */
export class CommandLineError extends Error {}

const OPTIONS = {
  seed: { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const KNOWN: ReadonlySet<string> = new Set(['-h', ...Object.keys(OPTIONS).map(name => `--${name}`)])

const SEED_MAX = 1_000_000
const RUNS_MAX = 1_000
const RUNS_DEFAULT = 3

/** What `--help` prints. */
export function usage(suites: readonly { readonly name: string; readonly about: string }[]): string {
  const lines = [...suites, { name: 'plots', about: 'draws docs/plots anew; takes no options' }]
  return `Simulates servers under load in virtual time, with the real policies before them.

  npm run sim -- SUITE [options]

  --seed N   the first seed, 0 to ${SEED_MAX}; 1 if left out
  --runs K   how many seeds, 1 to ${RUNS_MAX}; ${RUNS_DEFAULT} if left out
  --json     a line of JSON for each simulation
  --help     this text

${lines.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

Exit codes: 0 all bounds hold, 1 one does not, or the command was not understood.
`
}

/**
 * @returns undefined when help was asked for
 * @throws {CommandLineError} for what does not exist.
 */
export function parseCommandLine(words: readonly string[], suites: readonly string[]): Request | undefined {
  const { values, positionals } = parse(words)
  if (values.help === true) return undefined
  const [suite, ...rest] = positionals
  const names = [...suites, 'plots'].join(', ')
  if (suite === undefined || rest.length > 0 || (suite !== 'plots' && !suites.includes(suite))) {
    const seen = positionals.length === 0 ? 'nothing' : positionals.join(' ')
    throw new CommandLineError(`Expected one of ${names}, got ${seen}.`)
  }
  if (suite === 'plots') {
    if (Object.keys(values).length > 0) throw new CommandLineError('Expected plots without options.')
    return { kind: 'plots' }
  }
  const first = integerOf('--seed', values.seed, { otherwise: 1, min: 0, max: SEED_MAX })
  const runs = integerOf('--runs', values.runs, { otherwise: RUNS_DEFAULT, min: 1, max: RUNS_MAX })
  const seeds = Array.from({ length: runs }, (_, index) => first + index)
  return { kind: 'suite', suite, seeds, isJson: values.json === true }
}

function parse(
  words: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true })
  } catch {
    const unknown = words.find(word => /^-+[a-z]/i.test(word) && !KNOWN.has(word.split('=')[0] as string))
    const names = Object.keys(OPTIONS)
      .map(name => `--${name}`)
      .join(', ')
    throw new CommandLineError(
      unknown === undefined
        ? `Expected a number behind --seed and --runs, and nothing behind --json, got ${words.join(' ')}.`
        : `Expected the options ${names}, got ${unknown}.`,
    )
  }
}

function integerOf(
  option: string,
  text: string | undefined,
  { otherwise, min, max }: { readonly otherwise: number; readonly min: number; readonly max: number },
): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new CommandLineError(`Expected ${option} to be an integer from ${min} to ${max}, got ${JSON.stringify(text)}.`)
}
