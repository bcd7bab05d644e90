import { createRequire } from 'node:module'
import { DriverError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

type CommandClass = new (
  name: string,
  words: string[],
  options?: { readonly keyPrefix?: string },
) => { readonly args: unknown[]; getKeys(): unknown[] }

interface Driver {
  readonly Command: CommandClass
  readonly Redis: { readonly prototype: { getBuiltinCommands(): readonly string[] } }
}

let driver: { readonly Command: CommandClass; readonly known: ReadonlySet<string> } | undefined

/** A command as a script runs it. */
export interface KeyedCommand {
  /** Without the client's own prefix: the driver puts it before the keys of a script. */
  readonly keys: readonly string[]
  /** With it: nobody puts it before the words that a script is told. */
  readonly words: readonly string[]
}

/**
 * The keys of a command, as the driver knows them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when it has none, or the driver does not know it: it cannot be fenced.
 */
export function keyedCommand(
  [name, ...rest]: readonly [string, ...(string | number)[]],
  { index, keyPrefix }: { readonly index: number; readonly keyPrefix: string },
): KeyedCommand {
  driver ??= loadDriver()
  const { Command, known } = driver
  const given = rest.map(String)
  const small = name.toLowerCase()
  const keys = new Command(small, [...given]).getKeys().map(String)
  if (keys.length > 0) return { keys, words: [name, ...new Command(small, given, { keyPrefix }).args.map(String)] }
  const expected = known.has(small) ? 'a command with a key' : 'a command that ioredis knows'
  // The words of one without a key may be a password.
  throw new InvalidArgumentError('commands', `Expected \`commands[${index}]\` to be ${expected}, got ${show(name)}.`)
}

function loadDriver(): NonNullable<typeof driver> {
  try {
    // The fence is made from a client, so the driver is there; asked for here so that nobody without it loads it.
    const { Command, Redis } = createRequire(import.meta.url)('ioredis') as Driver
    return { Command, known: new Set(Redis.prototype.getBuiltinCommands()) }
  } catch (cause) {
    throw new DriverError('redisFence needs the package ioredis (^5.3 or ^6): npm install ioredis', { cause })
  }
}
