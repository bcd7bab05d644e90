import { isUtf8 } from 'node:buffer'
import type { Redis } from 'ioredis'
import { HoldfastError, InvalidArgumentError, RefusedError, UnknownOutcomeError } from '../errors.ts'
import { checkName, show } from '../names.ts'
import type { Cell } from '../optimistic/cell.ts'
import { checkDurationMs, checkKeys } from '../options.ts'
import { connectionOver } from './connection-over.ts'
import { checkClient } from './driver.ts'
import { compareAndSet } from './scripts/compare-and-set.ts'

/** How a key is read and written. */
export interface RedisValueOptions {
  /** How long an answer may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
}

const KNOWN: ReadonlySet<string> = new Set(['commandTimeoutMs'])

/**
 * A key of yours that holds text (UTF-8) as a cell for `updateIfUnchanged`. It is unchanged while it has the text that was read: what was
 * changed and changed back passes for that (ABA). How long the key is kept stays as it is. Your client is used as it is, and never
 * closed. What holds other bytes than text cannot be read: `HF_REFUSED`.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function redisValue(client: Redis, key: string, options: RedisValueOptions = {}): Cell<string> {
  checkClient(client, 'redisValue')
  checkName('key', key)
  checkKeys('redisValue', options, KNOWN)
  const timeoutMs = options.commandTimeoutMs ?? 2_000
  checkDurationMs('commandTimeoutMs', timeoutMs, { min: 50, max: 60_000 })
  const connection = connectionOver(client, timeoutMs)
  return {
    name: `the key "${key}"`,
    async read() {
      const bytes = await connection.within(redis => redis.getBuffer(key))
      const value = bytes === null ? undefined : textOf(key, bytes)
      return { value, version: value }
    },
    async writeIfUnchanged({ value: seen }, value) {
      checkText(key, value)
      let sentIn: number | undefined
      const before = [seen === undefined ? '0' : '1', seen ?? '']
      try {
        const answer = await connection.once(redis => {
          sentIn = connection.epoch
          return redis.evalsha(compareAndSet.sha, 1, key, ...before, value)
        })
        if (Number(answer) === 1) return true
        // The driver sends again what a broken connection left unanswered: the no may be to a write that was made before.
        if (sentIn !== connection.epoch) throw new UnknownOutcomeError(unknown(key))
        return false
      } catch (error) {
        if (sentIn === undefined || error instanceof RefusedError) throw error
        if (error instanceof HoldfastError && error.code === 'HF_UNKNOWN_OUTCOME') throw error
        throw new UnknownOutcomeError(unknown(key), { cause: error })
      }
    },
  }
}

// What is no text would come out as another one, which the key never has: every write would be a conflict.
function textOf(key: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  throw new RefusedError(
    `The key "${key}" holds ${bytes.length} bytes that are no text in UTF-8: redisValue is for text.`,
  )
}

// The driver would make a text of anything: of an object "[object Object]", of half a surrogate pair "\uFFFD".
function checkText(key: string, value: unknown): void {
  if (typeof value === 'string' && !/\p{Surrogate}/u.test(value)) return
  const got = typeof value === 'string' ? `half a surrogate pair in ${show(value)}` : show(value)
  throw new InvalidArgumentError('value', `Expected the new value of the key "${key}" to be a text, got ${got}.`)
}

function unknown(key: string): string {
  return `No answer came to a write of the key "${key}", which may have been made.`
}
