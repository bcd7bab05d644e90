import { createRequire } from 'node:module'
import { DriverError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

type CommandClass = new (
  name: string,
  words: string[],
  options?: { readonly keyPrefix?: string },
) => { readonly args: unknown[]; getKeys(): unknown[] }

let command: CommandClass | undefined

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
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the command has none: it cannot be fenced.
 */
export function keyedCommand(
  [name, ...rest]: readonly [string, ...(string | number)[]],
  keyPrefix: string,
): KeyedCommand {
  command ??= loadCommand()
  const given = rest.map(String)
  const keys = new command(name.toLowerCase(), [...given]).getKeys().map(String)
  if (keys.length > 0)
    return { keys, words: [name, ...new command(name.toLowerCase(), given, { keyPrefix }).args.map(String)] }
  throw new InvalidArgumentError('commands', `Expected a command with a key, got ${show([name, ...rest].join(' '))}.`)
}

function loadCommand(): CommandClass {
  try {
    // The fence is made from a client, so the driver is there; asked for here so that nobody without it loads it.
    return (createRequire(import.meta.url)('ioredis') as { Command: CommandClass }).Command
  } catch (cause) {
    throw new DriverError('redisFence needs the package ioredis (^5.3 or ^6): npm install ioredis', { cause })
  }
}
