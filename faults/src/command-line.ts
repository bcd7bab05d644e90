import { parseArgs } from 'node:util'
import { BACKENDS, SUITES } from './catalogue.ts'
import type { BackendKind, Scenario } from './scenario.ts'

/** What was asked for. */
export interface Request {
  readonly scenarios: readonly Scenario[]
  readonly backends: readonly BackendKind[]
  readonly runs: number | undefined
  readonly isJson: boolean
}

/** One sentence for whoever typed it. */
export class CommandLineError extends Error {}

const RUNS_MAX = 10_000

/** What `--help` prints. */
export function usage(): string {
  const suites = Object.entries(SUITES).map(
    ([name, scenarios]) =>
      `Suite ${name}:\n${scenarios.map(scenario => `  ${scenario.name} (${scenario.backends.join(', ')})\n`).join('')}`,
  )
  return `Kills, stops and cuts off real processes, and looks at what became of locks and configuration.

  npm run faults -- [SUITE or SCENARIO] [options]

  --backend NAME   only on one: ${BACKENDS.join(', ')}
  --runs N         how often each scenario runs, 1 to ${RUNS_MAX}; each has its own default
  --json           a line of JSON for each row
  --help           this text

${suites.join('\n')}
Exit codes: 0 all is well, 1 something is not, or was not understood.
`
}

/**
 * @returns undefined when help was asked for
 * @throws {CommandLineError} for what does not exist.
 */
export function parseCommandLine(args: readonly string[]): Request | undefined {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  if (positionals.length > 1)
    throw new CommandLineError(`Expected one suite or scenario, got ${positionals.join(' ')}.`)
  return {
    scenarios: scenariosNamed(positionals[0]),
    backends: backendsNamed(values.backend),
    runs: runsOf(values.runs),
    isJson: values.json,
  }
}

function parse(args: readonly string[]): {
  values: { backend?: string | undefined; runs?: string | undefined; json: boolean; help: boolean }
  positionals: string[]
} {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        backend: { type: 'string' },
        runs: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new CommandLineError(error instanceof Error ? error.message : String(error))
  }
}

function scenariosNamed(name: string | undefined): readonly Scenario[] {
  const all = Object.values(SUITES).flat()
  if (name === undefined) return all
  const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined
  const found = suite ?? all.filter(scenario => scenario.name === name)
  if (found.length > 0) return found
  const known = [...Object.keys(SUITES), ...all.map(scenario => scenario.name)]
  throw new CommandLineError(`There is no suite or scenario "${name}": there are ${known.join(', ')}.`)
}

function backendsNamed(name: string | undefined): readonly BackendKind[] {
  if (name === undefined) return BACKENDS
  const found = BACKENDS.filter(backend => backend === name)
  if (found.length > 0) return found
  throw new CommandLineError(`There is no backend "${name}": there are ${BACKENDS.join(', ')}.`)
}

function runsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const runs = Number(text)
  if (Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX) return runs
  throw new CommandLineError(`Expected --runs to be an integer from 1 to ${RUNS_MAX}, got ${text}.`)
}
