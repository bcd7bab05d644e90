import type { PoolClient } from 'pg'
import type { BackendLifecycle } from '../backend.ts'
import { InvariantError } from '../errors.ts'
import type { RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from '../ports/rates.ts'
import { decisionOf, readVerdict } from '../rates/bucket.ts'
import { checkCallOptions, checkGiveBack, checkedTake, checkedTakes } from '../rates/checks.ts'
import type { PostgresConnection } from './connection.ts'
import type { Statement } from './read-statement.ts'
import type { Schema } from './schema.ts'

/** What rates in PostgreSQL are made of. */
export interface PostgresRateParts {
  readonly lifecycle: BackendLifecycle
  readonly connection: PostgresConnection
  readonly schema: Schema
}

/** Rates in an unlogged table, a row each: a call is one function, and one round trip. */
export class PostgresRateStore implements RateStore {
  readonly #lifecycle: BackendLifecycle
  readonly #connection: PostgresConnection
  readonly #schema: string

  constructor({ lifecycle, connection, schema }: PostgresRateParts) {
    this.#lifecycle = lifecycle
    this.#connection = connection
    this.#schema = schema.quoted
  }

  async take(take: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    const [decision] = await this.#take([checkedTake(take)], options)
    if (decision === undefined) throw new InvariantError('A take was not decided.')
    return decision
  }

  async takeAll(takes: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]> {
    return await this.#take(checkedTakes(takes), options)
  }

  async giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void> {
    checkGiveBack(key, quota, count)
    checkCallOptions(options)
    this.#lifecycle.checkUsable()
    const statement = {
      text: `SELECT ${this.#schema}.give_back_rate_v1($1, $2, $3, $4, $5, $6)`,
      values: [key, quota.limit, quota.periodMs, quota.burst, count],
    }
    await this.#asked(statement, options)
  }

  async #take(
    takes: readonly Required<RateTake>[],
    options: RateCallOptions | undefined,
  ): Promise<readonly RateDecision[]> {
    checkCallOptions(options)
    this.#lifecycle.checkOpen()
    const text = await this.#asked(
      {
        text: `SELECT array_to_string(${this.#schema}.take_rates_v1($1, $2, $3, $4, $5, $6, $7), ';')`,
        values: [
          takes.map(({ key }) => key),
          takes.map(({ quota }) => quota.limit),
          takes.map(({ quota }) => quota.periodMs),
          takes.map(({ quota }) => quota.burst),
          takes.map(({ cost }) => cost),
          takes.map(({ least }) => least),
        ],
      },
      options,
    )
    const answers = text.split(';')
    return takes.map((take, index) => decisionOf(take, readVerdict(answers[index])))
  }

  // Who waits for a row says how long, as the last parameter: he gives up, and is heard, before his caller does, so that his
  // connection stays of use.
  async #asked({ text, values }: Statement, options: RateCallOptions | undefined): Promise<string> {
    const timeoutMs = options?.timeoutMs ?? this.#connection.commandTimeoutMs
    return await this.#connection.once(async (client: PoolClient, remainingMs) => {
      const patienceMs = Math.max(1, Math.floor(remainingMs * 0.9))
      const { rows } = await client.query<string[]>({ text, values: [...values, patienceMs], rowMode: 'array' })
      return String(rows[0]?.[0])
    }, timeoutMs)
  }
}
