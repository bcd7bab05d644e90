import { appOfLayer, openConfigAdmin } from '@holdfast/config-client'
import { onAbort, systemClock } from '@holdfast/core'
import { readFileSync } from 'node:fs'
import type { Arguments } from './command-line.ts'
import { parseArguments } from './command-line.ts'
import { COMMANDS } from './commands/all.ts'
import { definitionsFrom } from './definitions.ts'
import type { ExitCode } from './exit-codes.ts'
import { EXIT, exitCodeOf, usageError } from './exit-codes.ts'
import { helpOf, overview } from './help.ts'
import { secretKeysFrom, signingKeyFrom } from './keys.ts'
import { nearest } from './nearest.ts'
import { COMMON_OPTIONS } from './option-specs.ts'
import { outputTo } from './output/output.ts'
import type { Command, Session } from './session.ts'
import { parseAddress, shownAddress } from './store/address.ts'
import { openBackend } from './store/open-backend.ts'

const TIMEOUT_MS = 10_000

/** The signals that want the process to end: once, and again. */
export interface Interrupts {
  readonly signal: AbortSignal
  readonly urgent: AbortSignal
}

/** Runs what was typed, and answers the exit code. Never rejects. */
export async function run(argv: readonly string[], interrupts: Interrupts): Promise<ExitCode> {
  // Before anything is understood: an error in what was typed has its form as well.
  const output = outputTo(process, argv.includes('--json'))
  try {
    const [group, name, ...rest] = argv
    if (group === undefined || isHelp(group)) return print(overview(COMMANDS))
    if (group === '--version' || name === '--version') return print(`${version()}\n`)
    if (group !== 'config') throw unknownGroup(group)
    if (name === undefined || isHelp(name)) return print(overview(COMMANDS))
    const command = COMMANDS.find(known => known.name === name)
    if (command === undefined) throw unknownCommand(name)
    const args = parseArguments(rest, { ...COMMON_OPTIONS, ...command.options })
    if (args.has('help')) return print(helpOf(command))
    return await runCommand(command, { args, output, clock: systemClock, ...interrupts })
  } catch (error) {
    const exitCode = exitCodeOf(error)
    output.error(error, exitCode)
    return exitCode
  }
}

function isHelp(text: string): boolean {
  return text === '--help' || text === '-h' || text === 'help'
}

function print(text: string): ExitCode {
  process.stdout.write(text)
  return EXIT.done.code
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}

function unknownGroup(seen: string): Error {
  const isCommand = COMMANDS.some(({ name }) => name === seen)
  return usageError(`Unknown command ${seen}: ${isCommand ? `did you mean config ${seen}?` : SEE_HELP}`)
}

function unknownCommand(seen: string): Error {
  const near = nearest(
    seen,
    COMMANDS.map(({ name }) => name),
  )
  return usageError(`Unknown command ${seen}: ${near === undefined ? SEE_HELP : `did you mean ${near}?`}`)
}

const SEE_HELP = 'holdfast --help lists what there is.'

async function runCommand(
  command: Command,
  base: Pick<Session, 'args' | 'output' | 'clock' | 'signal' | 'urgent'>,
): Promise<ExitCode> {
  const { args, output, signal } = base
  const scope = { app: wanted(args, 'app', 'HOLDFAST_APP'), env: wanted(args, 'env', 'HOLDFAST_ENV') }
  const address = parseAddress(wanted(args, 'backend', 'HOLDFAST_BACKEND'), {
    prefix: args.text('prefix'),
    zookeeperAuth: process.env['HOLDFAST_ZOOKEEPER_AUTH'],
  })
  const definitions = await definitionsFrom(args.texts('namespaces'))
  const backend = await openBackend(address)
  try {
    if (needsStore(command, args)) {
      output.progress(`Connecting to ${shownAddress(address)}…`)
      await backend.ready({ timeoutMs: args.durationMs('timeout') ?? TIMEOUT_MS, signal })
      output.progress('')
    }
    await using admin = openConfigAdmin({
      backend,
      ...scope,
      namespaces: definitions.namespaces,
      templates: definitions.templates.filter(({ layer }) => appOfLayer(layer) === scope.app),
      ...secretKeysFrom(process.env['HOLDFAST_SECRET_KEYS']),
      ...(Object.hasOwn(command.options, 'sign-with') ? signingKeyFrom(args) : {}),
    })
    const work = command.run({ ...base, scope, backend, definitions, admin })
    return (await (command.mindsInterrupts === true ? work : orInterrupted(work, signal))) ?? EXIT.done.code
  } finally {
    await backend.close()
  }
}

/** What keeps the last good release starts without the store. */
function needsStore({ options }: Command, args: Arguments): boolean {
  return !Object.hasOwn(options, 'state-dir') || args.text('state-dir') === undefined
}

function wanted(args: Arguments, option: string, variable: string): string {
  const value = args.text(option) ?? process.env[variable] ?? ''
  if (value !== '') return value
  throw usageError(`Expected --${option}, or ${variable} in the environment.`)
}

/** What waits with the signal itself has a turn to say it better. */
function orInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, reason => void setImmediate(() => reject(reason as Error)))
    work.then(resolve, reject).finally(stopListening)
  })
}
