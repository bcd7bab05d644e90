import { createRequire } from 'node:module'
import { DriverError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

type CommandClass = new (name: string, args: string[]) => { getKeys(): (string | Buffer)[] }

let command: CommandClass | undefined

/**
 * The keys of a command, as the driver knows them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the command has none: it cannot be fenced.
 */
export function commandKeys([name, ...words]: readonly [string, ...(string | number)[]]): readonly string[] {
  command ??= loadCommand()
  const keys = new command(name.toLowerCase(), words.map(String)).getKeys().map(String)
  if (keys.length > 0) return keys
  throw new InvalidArgumentError('commands', `Expected a command with a key, got ${show([name, ...words].join(' '))}.`)
}

function loadCommand(): CommandClass {
  try {
    // The fence is made from a client, so the driver is there; asked for here so that nobody without it loads it.
    return (createRequire(import.meta.url)('ioredis') as { Command: CommandClass }).Command
  } catch (cause) {
    throw new DriverError('redisFence needs the package ioredis (^5.3 or ^6): npm install ioredis', { cause })
  }
}
