import { parseArgs } from 'node:util'
import type { LockRequest } from './locks/suite.ts'
import type { QuorumRequest } from './quorum/suite.ts'

/** What was asked for. */
export type Request =
  | { readonly kind: 'suite'; readonly suite: string; readonly seeds: readonly number[]; readonly isJson: boolean }
  | { readonly kind: 'plots' }
  | LockRequest
  | QuorumRequest

/** One sentence for whoever typed it. */
export class CommandLineError extends Error {}

const OPTIONS = {
  seed: { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  'without-guards': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const KNOWN: ReadonlySet<string> = new Set(['-h', ...Object.keys(OPTIONS).map(name => `--${name}`)])

const SEED_MAX = 1_000_000
const RUNS_MAX = 1_000
const RUNS_DEFAULT = 3
const LOCK_RUNS_MAX = 1_000_000
const LOCK_RUNS_DEFAULT = 200

/** What `--help` prints. */
export function usage(suites: readonly { readonly name: string; readonly about: string }[]): string {
  const locks = {
    name: 'locks',
    about: 'locks while networks, processes, clocks and the store fail; what runs if nothing is named',
  }
  const quorum = {
    name: 'quorum',
    about: 'a quorum of Redis servers that crash, are emptied and restored, with controls',
  }
  const lines = [locks, quorum, ...suites, { name: 'plots', about: 'draws docs/plots anew; takes no options' }]
  return `Simulates in virtual time: locks while things go wrong, and servers under load, with the real code before them.

  npm run sim -- [SUITE] [options]

  --seed N          the first seed, 0 to ${SEED_MAX}; 1 if left out
  --runs K          how many seeds: 1 to ${LOCK_RUNS_MAX} of locks and quorum, ${LOCK_RUNS_DEFAULT} if left out; else 1 to ${RUNS_MAX}, ${RUNS_DEFAULT} if left out
  --without-guards  locks that nothing fences: the control, which fails
  --json            lines of JSON
  --help            this text

${lines.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

Exit codes: 0 all promises and bounds hold, 1 one does not, or the command was not understood.
`
}

/** What a person reads first: which suite this is, and how it was asked for; undefined for lines of JSON. */
export function headline(request: Exclude<Request, { kind: 'plots' }>): string | undefined {
  if (request.isJson) return undefined
  const { suite, seed, runs } =
    request.kind === 'suite'
      ? { suite: request.suite, seed: request.seeds[0], runs: request.seeds.length }
      : { suite: request.kind, seed: request.seed, runs: request.runs }
  const what = runs === 1 ? `seed ${seed}` : `${runs} seeds from ${seed}`
  return `Suite ${suite}, ${what}. What else there is: npm run sim -- --help`
}

/**
 * @returns undefined when help was asked for
 * @throws {CommandLineError} for what does not exist.
 */
export function parseCommandLine(words: readonly string[], suites: readonly string[]): Request | undefined {
  const { values, positionals } = parse(words)
  if (values.help === true) return undefined
  const [suite = 'locks', ...rest] = positionals
  const names = ['locks', 'quorum', ...suites, 'plots']
  if (rest.length > 0 || !names.includes(suite)) {
    const meant = rest.length > 0 ? undefined : nameLike(suite, names)
    const hint = meant === undefined ? '' : ` Did you mean ${meant}?`
    throw new CommandLineError(`Expected one of ${names.join(', ')}, got ${positionals.join(' ')}.${hint}`)
  }
  if (suite === 'plots') {
    if (Object.keys(values).length > 0) throw new CommandLineError('Expected plots without options.')
    return { kind: 'plots' }
  }
  const isJson = values.json === true
  const first = integerOf('--seed', values.seed, { otherwise: 1, min: 0, max: SEED_MAX })
  const hasGuards = values['without-guards'] !== true
  if (!hasGuards && suite !== 'locks') throw new CommandLineError('Expected --without-guards only with locks.')
  if (suite === 'locks' || suite === 'quorum') {
    const limits = { otherwise: LOCK_RUNS_DEFAULT, min: 1, max: LOCK_RUNS_MAX }
    const runs = integerOf('--runs', values.runs, limits)
    return suite === 'quorum'
      ? { kind: 'quorum', seed: first, runs, isJson }
      : { kind: 'locks', seed: first, runs, hasGuards, isJson }
  }
  const runs = integerOf('--runs', values.runs, { otherwise: RUNS_DEFAULT, min: 1, max: RUNS_MAX })
  const seeds = Array.from({ length: runs }, (_, index) => first + index)
  return { kind: 'suite', suite, seeds, isJson }
}

/** One that is the beginning of the other is most likely meant. */
function nameLike(word: string, names: readonly string[]): string | undefined {
  return word === '' ? undefined : names.find(name => name.startsWith(word) || word.startsWith(name))
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
        ? `Expected a number behind --seed and --runs, and nothing behind the others, got ${words.join(' ')}.`
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
