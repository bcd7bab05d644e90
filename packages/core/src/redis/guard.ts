import type { Redis } from 'ioredis'
import { InvalidArgumentError, RefusedError, UnknownOutcomeError } from '../errors.ts'
import type { Fenced, Guard } from '../fencing/guard.ts'
import { checkFenced } from '../fencing/guard.ts'
import { refusedAsStale } from '../fencing/refusal.ts'
import { FencingToken } from '../fencing/token.ts'
import { show } from '../names.ts'
import { checkDurationMs, checkKeys } from '../options.ts'
import { RequestIds } from '../request-ids.ts'
import { checkPrefix } from './backend.ts'
import type { KeyedCommand } from './command-keys.ts'
import { keyedCommand } from './command-keys.ts'
import type { RedisConnection } from './connection.ts'
import { connectionOver } from './connection-over.ts'
import { checkClient } from './driver.ts'
import { fenceKey, hashTag } from './keys.ts'
import { fence } from './scripts/fence.ts'

/** A command and its words, as Redis documents them. */
export type RedisCommand = readonly [name: string, ...words: (string | number)[]]

/** Commands that are only run when their token is not stale. */
export interface FencedCommands extends Fenced {
  /** 1 to 100 commands. All their keys carry the resource's name or hash tag, so that one server decides over all of it. */
  readonly commands: readonly RedisCommand[]
}

/** A guard for resources that are kept in Redis. */
export interface RedisFence extends Guard {
  /**
   * Compares the token, records it, and runs the commands, in one script on the server. The fence record stays for ever, in the
   * slot of the resource. What a command changed before a later one failed is not undone: Redis has no roll back.
   *
   * @returns the reply of each command
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen; nothing was run
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when a key has another hash tag than the resource; nothing was sent
   * @throws {RefusedError} `HF_REFUSED` when Redis refused a command: which one is said, and what those before it changed stays
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when no answer came: the commands may have been run, once
   */
  apply(fenced: FencedCommands): Promise<readonly unknown[]>
}

/** How a fence is made. */
export interface RedisFenceOptions {
  /** What the keys of fence records start with. @default 'hf' */
  readonly prefix?: string
  /** How long an answer may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
}

const KNOWN: ReadonlySet<string> = new Set(['prefix', 'commandTimeoutMs'])
const COMMANDS_MAX = 100
const LIKE_THIS = "like ['DECRBY', 'stock:42', '1']"

/**
 * A guard on the Redis that keeps the protected data. It uses your client as it is, and never closes it; a command that the
 * driver sends again after a lost reply is recognised and not run twice.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function redisFence(client: Redis, options: RedisFenceOptions = {}): RedisFence {
  checkClient(client, 'redisFence')
  checkKeys('redisFence', options, KNOWN)
  if (options.prefix !== undefined) checkPrefix(options.prefix)
  const timeoutMs = options.commandTimeoutMs ?? 2_000
  checkDurationMs('commandTimeoutMs', timeoutMs, { min: 50, max: 60_000 })
  const keyPrefix = String(client.options.keyPrefix ?? '')
  const writer = new FencedWriter(connectionOver(client, timeoutMs), { prefix: options.prefix ?? 'hf', keyPrefix })
  return {
    apply: fenced => writer.apply(fenced),
    raise: fenced => writer.raise(fenced),
  }
}

class FencedWriter {
  readonly #prefix: string
  readonly #keyPrefix: string
  readonly #connection: RedisConnection
  readonly #source = new RequestIds().source
  #calls = 0

  constructor(connection: RedisConnection, settings: { readonly prefix: string; readonly keyPrefix: string }) {
    this.#connection = connection
    this.#prefix = settings.prefix
    this.#keyPrefix = settings.keyPrefix
  }

  async apply(fenced: FencedCommands): Promise<readonly unknown[]> {
    const { resource, token } = checkFenced(fenced)
    const { commands } = fenced
    checkCommands(commands)
    const keyed = commands.map((command, index) => keyedCommand(command, { index, keyPrefix: this.#keyPrefix }))
    for (const [index, { keys }] of keyed.entries()) checkTags(keys, resource, commands[index]?.[0])
    const words = keyed.flatMap(command => [String(command.words.length), ...command.words])
    const send = this.#sender(
      { resource, token },
      keyed.flatMap(({ keys }) => keys),
      words,
    )
    const [kind, ...replies] = await this.#once(send)
    if (kind === 'stale') throw staleToken({ resource, token }, replies)
    if (kind === 'refused') throw refusedCommand(keyed, Number(replies[0]), String(replies[1]))
    return kind === 'again' ? repliesOf(resource, String(replies[0])) : replies
  }

  // Raising twice does no harm, so a broken connection only means to try again.
  async raise(given: Fenced): Promise<void> {
    const fenced = checkFenced(given)
    const [kind, ...replies] = await this.#connection.within(this.#sender(fenced, [], []))
    if (kind === 'stale') throw staleToken(fenced, replies)
  }

  #sender({ resource, token }: Fenced, keys: readonly string[], words: readonly string[]): Send {
    const all = [fenceKey(this.#prefix, resource), ...keys]
    return client => {
      // A number of its own each time that we send it, which is only again when nothing was run: others may have gone ahead.
      const call = [token.toString(), this.#source, String(++this.#calls)]
      return client.evalsha(fence.sha, all.length, ...all, ...call, ...words) as Promise<FenceAnswer>
    }
  }

  async #once(send: Send): Promise<FenceAnswer> {
    let isSent = false
    try {
      return await this.#connection.once(client => {
        isSent = true
        return send(client)
      })
    } catch (error) {
      if (!isSent || error instanceof RefusedError) throw error
      const why = error instanceof Error ? error.message : String(error)
      throw new UnknownOutcomeError(`No answer came to a fenced write, which may have been applied: ${why}`, {
        cause: error,
      })
    }
  }
}

/** As `scripts/fence.ts` says. */
type FenceAnswer = readonly [kind: string, ...replies: unknown[]]
type Send = (client: Redis) => Promise<FenceAnswer>

function staleToken(fenced: Fenced, [newest]: readonly unknown[]): Error {
  return refusedAsStale('redis', fenced, FencingToken.parse(String(newest)))
}

function refusedCommand(commands: readonly KeyedCommand[], index: number, said: string): RefusedError {
  const { words = [], keys = [] } = commands[index] ?? {}
  const before = index === 0 ? '' : ' What the commands before it changed stays.'
  return new RefusedError(
    `Redis refused \`commands[${index}]\` (${words[0]} ${show(keys[0])}): ${said.replace(/\.$/, '')}.${before}`,
  )
}

function checkCommands(commands: readonly RedisCommand[]): void {
  if (!Array.isArray(commands) || commands.length === 0 || commands.length > COMMANDS_MAX) {
    throw badCommand('commands', `1 to ${COMMANDS_MAX} arrays ${LIKE_THIS}`, commands)
  }
  for (const [index, command] of (commands as readonly unknown[]).entries()) checkCommand(`commands[${index}]`, command)
}

function checkCommand(where: string, command: unknown): void {
  if (!Array.isArray(command)) throw badCommand(where, `an array ${LIKE_THIS}`, command)
  const [name, ...words] = command as readonly unknown[]
  if (typeof name !== 'string') throw badCommand(`${where}[0]`, 'the name of a command', name)
  for (const [index, word] of words.entries()) {
    if (typeof word === 'string' || Number.isFinite(word)) continue
    throw badCommand(`${where}[${index + 1}]`, 'text or a finite number', word)
  }
}

function badCommand(where: string, expected: string, seen: unknown): InvalidArgumentError {
  return new InvalidArgumentError('commands', `Expected \`${where}\` to be ${expected}, got ${show(seen)}.`)
}

function checkTags(keys: readonly string[], resource: string, name: string | undefined): void {
  const tag = hashTag(resource)
  for (const key of keys) {
    if (hashTag(key) === tag) continue
    throw new InvalidArgumentError(
      'commands',
      `Expected the keys of ${show(name)} to carry the hash tag of the resource, like ${show(`{${tag}}:name`)}, got ${show(key)}.`,
    )
  }
}

function repliesOf(resource: string, json: string): readonly unknown[] {
  if (json !== '') return (JSON.parse(json) as unknown[]).slice(1)
  throw new UnknownOutcomeError(
    `The write to "${resource}" was run once, and what became of it was lost with the connection.`,
  )
}
