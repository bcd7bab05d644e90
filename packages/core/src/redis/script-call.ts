import type { Redis } from 'ioredis'
import { HoldfastError } from '../errors.ts'
import type { Command } from './attempt.ts'
import type { RedisConnection } from './connection.ts'
import { isUnknownScript, unanswered } from './errors.ts'
import type { Script } from './scripts/script.ts'

/** What a script is called with. */
export interface ScriptWords {
  readonly script: Script
  readonly keys: readonly string[]
  readonly words: readonly (string | number)[]
}

/** By when, and what becomes of the answer. */
export interface ScriptEnd {
  readonly timeoutMs: number
  readonly answered: (answer: unknown) => void
  /** Always an error of ours. */
  readonly failed: (error: unknown) => void
}

/** One call of a script, for what must not be done twice: it is sent once, or not at all. */
export class ScriptCall implements Command<unknown> {
  readonly isIdempotent = false
  // No tokens rest on it, so it may go while grants are held back.
  readonly isNoGrant = true
  readonly timeoutMs: number
  readonly #call: ScriptWords
  readonly #end: ScriptEnd
  readonly #connection: RedisConnection
  #isOver = false

  constructor(connection: RedisConnection, call: ScriptWords, end: ScriptEnd) {
    this.#connection = connection
    this.#call = call
    this.#end = end
    this.timeoutMs = end.timeoutMs
  }

  // Not loaded beforehand: in a Cluster nobody knows which node will be asked. A node that does not know the script ran nothing.
  send(client: Redis): Promise<unknown> {
    const { script, keys, words } = this.#call
    return client.evalsha(script.sha, keys.length, ...keys, ...words).catch((error: unknown) => {
      if (this.#isOver || !isUnknownScript(error)) throw error
      return client.eval(script.lua, keys.length, ...keys, ...words)
    })
  }

  // Of whoever has the key, with a right that the scripts need as well.
  probe(client: Redis): Promise<unknown> {
    return client.get(this.#call.keys[0] ?? '')
  }

  answered(answer: unknown): void {
    this.#end.answered(answer)
  }

  failed(error: unknown): void {
    this.#isOver = true
    this.#end.failed(error instanceof HoldfastError ? error : unanswered(this.#connection.address, error))
  }
}
