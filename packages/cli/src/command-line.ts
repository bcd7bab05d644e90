import { InvariantError, show } from '@holdfast/core'
import { parseArgs } from 'node:util'
import { usageError } from './exit-codes.ts'
import { nearest } from './nearest.ts'
import type { OptionSpec, OptionSpecs } from './option-specs.ts'

type Token = NonNullable<ReturnType<typeof tokenize>>[number]
type OptionToken = Extract<Token, { kind: 'option' }>

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/
const DURATION_MS_MAX = 2_147_483_647

/** What was typed behind the name of a command. */
export class Arguments {
  readonly positionals: readonly string[]
  readonly #specs: OptionSpecs
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(specs: OptionSpecs, values: ReadonlyMap<string, readonly string[]>, positionals: readonly string[]) {
    this.#specs = specs
    this.#values = values
    this.positionals = positionals
  }

  /** Whether a switch was given. */
  has(name: string): boolean {
    return this.texts(name).length > 0
  }

  text(name: string): string | undefined {
    return this.texts(name)[0]
  }

  /** All values of an option that may be given more than once. */
  texts(name: string): readonly string[] {
    if (!Object.hasOwn(this.#specs, name)) throw new InvariantError(`The command has no option --${name}.`)
    return this.#values.get(name) ?? []
  }

  integer(name: string, min: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min) return value
    throw usageError(`Expected --${name} to be an integer from ${min}, got ${show(text)}.`)
  }

  /** A time such as `500ms`, `10s`, `5m` or `1h`, in milliseconds. */
  durationMs(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const [, amount, unit] = DURATION.exec(text) ?? []
    const value = Math.round(Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN))
    if (value <= DURATION_MS_MAX) return value
    throw usageError(`Expected --${name} to be a time with its unit, such as 500ms, 10s or 5m, got ${show(text)}.`)
  }
}

/**
 * Reads options and the rest. A negative number is no option: `rollback -2`.
 *
 * @throws {CommandError} `usage` for what is not declared, with the nearest that is
 */
export function parseArguments(args: readonly string[], specs: OptionSpecs): Arguments {
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  for (const token of tokenize(args.map(guarded), specs)) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') positionals.push(plain(token.value))
    else addOption(values, specs, token)
  }
  return new Arguments(specs, values, positionals)
}

// `strict` would refuse in words of its own, and without the nearest name.
function tokenize(args: string[], specs: OptionSpecs) {
  const options = Object.entries(specs).map(([name, { value, short }]) => [
    name,
    { type: value === undefined ? 'boolean' : 'string', multiple: true, ...(short === undefined ? {} : { short }) },
  ])
  return parseArgs({
    args,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(options) as Record<string, { type: 'boolean' | 'string'; multiple: true }>,
  }).tokens
}

// What looks like an option and is a number is hidden from the parser behind a character that nobody types.
const GUARD = '\u0000'

function guarded(argument: string): string {
  return /^-\d+$/.test(argument) ? GUARD + argument : argument
}

function plain(argument: string): string {
  return argument.startsWith(GUARD) ? argument.slice(GUARD.length) : argument
}

function addOption(values: Map<string, string[]>, specs: OptionSpecs, token: OptionToken): void {
  const { name, rawName } = token
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
  if (spec === undefined) throw unknownOption(rawName, name, specs)
  const known = values.get(name) ?? []
  if (known.length > 0 && spec.value !== undefined && spec.isMany !== true) {
    throw usageError(`Expected --${name} once, got it twice.`)
  }
  values.set(name, [...known, valueOf(spec, token)])
}

function valueOf(spec: OptionSpec, { name, value, inlineValue }: OptionToken): string {
  if (spec.value === undefined) {
    if (value === undefined) return ''
    throw usageError(`Expected --${name} to have no value, got ${show(value)}.`)
  }
  const isForgotten = inlineValue === false && /^-./.test(value ?? '')
  if (value !== undefined && value !== '' && !isForgotten) return plain(value)
  throw usageError(`Expected --${name} to have a value: --${name} ${spec.value}.`)
}

function unknownOption(raw: string, name: string, specs: OptionSpecs): Error {
  const near = nearest(name, Object.keys(specs))
  const hint = near === undefined ? '--help lists what there is.' : `did you mean --${near}?`
  return usageError(`Unknown option ${raw}: ${hint}`)
}
