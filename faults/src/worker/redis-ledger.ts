import { FencingToken, StaleTokenError, UnavailableError, UnknownOutcomeError } from '@holdfast/core'
import type { RedisFence } from '@holdfast/core/redis'
import { redisFence } from '@holdfast/core/redis'
import { Redis } from 'ioredis'
import type { Ledger, LedgerWrite } from './ledger.ts'
import type { WriteOutcome } from './protocol.ts'

/** A ledger in a Redis list. */
export class RedisLedger implements Ledger {
  readonly guard: RedisFence
  readonly #client: Redis
  readonly #fence: RedisFence
  readonly #prefix: string

  constructor(port: number, prefix: string) {
    this.#client = new Redis({ port, host: '127.0.0.1', lazyConnect: true })
    this.#client.on('error', () => {})
    this.#prefix = prefix
    this.#fence = redisFence(this.#client, { prefix, commandTimeoutMs: 10_000 })
    this.guard = this.#fence
  }

  async write({ resource, token, isGuarded }: LedgerWrite): Promise<WriteOutcome> {
    const key = ledgerKey(this.#prefix, resource)
    if (!isGuarded) return { kind: 'accepted', order: await this.#client.rpush(key, String(token)) }
    try {
      const commands = [['RPUSH', key, String(token)]] as const
      const [length] = await this.#fence.apply({ resource, token: new FencingToken(token), commands })
      return { kind: 'accepted', order: Number(length) }
    } catch (error) {
      if (error instanceof StaleTokenError) return { kind: 'refused' }
      if (error instanceof UnknownOutcomeError || error instanceof UnavailableError) {
        return { kind: 'unknown', message: error.message }
      }
      throw error
    }
  }

  async close(): Promise<void> {
    this.#client.disconnect()
  }
}

export function ledgerKey(prefix: string, resource: string): string {
  return `${prefix}:ledger:{${resource}}`
}
