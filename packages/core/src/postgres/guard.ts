import type { ClientBase, Pool, PoolClient } from 'pg'
import { systemClock } from '../clock.ts'
import { InvalidArgumentError, RefusedError, UnavailableError } from '../errors.ts'
import type { Fenced, Guard } from '../fencing/guard.ts'
import { checkFenced } from '../fencing/guard.ts'
import { show } from '../names.ts'
import { checkDurationMs, checkKeys } from '../options.ts'
import { POSTGRES_DEFAULTS } from './backend.ts'
import { PostgresConnection } from './connection.ts'
import { checkPool } from './driver.ts'
import type { PostgresQueryable } from './fence-table.ts'
import { FENCE_TABLE, FenceTable, checkTable, fencesOnly } from './fence-table.ts'
import type { FencedLease } from './fenced-transaction.ts'
import { runFenced } from './fenced-transaction.ts'
import type { Schema } from './schema.ts'
import { checkSchema, schemaOf } from './schema.ts'
import type { ServerFacts } from './server.ts'
import { prepare } from './server.ts'

/** A guard for data that is kept in PostgreSQL, without a pool of its own. */
export interface PostgresCheck {
  /**
   * Compares the token and records it, in your transaction: your writes and the token are committed together, or not at all. Call it
   * before you read what you decide by. Until your transaction ends nobody can check or raise another token of the resource, so
   * keep it short, or use `run`.
   *
   * What your connection says (a serialization failure, a lost link) is thrown as it is.
   *
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen; nothing was changed, roll back
   * @throws {RefusedError} `HF_REFUSED` when the table of fences is not there and there is no pool to make it with
   * @throws {UnavailableError} `HF_UNAVAILABLE` when it is not there and the pool has no second connection to make it with
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when `tx` is in no transaction; nothing was changed
   */
  check(tx: PostgresQueryable, fenced: Fenced): Promise<void>
}

/** A guard for data that is kept in PostgreSQL. */
export interface PostgresFence extends PostgresCheck, Guard {
  /**
   * Runs `work` in a transaction of its own that began with the check, and commits it while the lease is held. It may take for as long
   * as the lease had left at its begin: then, or when the lease is lost, it is rolled back. The server keeps to that as well, so that
   * a process that was stopped in the middle of it does not keep others out for longer.
   *
   * `work` must not end the transaction (COMMIT, ROLLBACK; savepoints are fine): what it did from then on would not be fenced. That is
   * seen at the end, and rejected.
   *
   * `tx` is a client of pg that ends with `work`: what was sent through it by then is part of the transaction, and later queries reject
   * with `HF_CLOSED`, or with what ended `work` early. Its connection goes back by itself (no `tx.release()`).
   *
   * What `work` throws is thrown as it is, after the transaction was rolled back.
   *
   * @returns what `work` answered
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when a newer token was seen; `work` was not called
   * @throws {LeaseLostError} `HF_LEASE_LOST` when the lease ended before the commit was sent; nothing was changed
   * @throws {RefusedError} `HF_REFUSED` when PostgreSQL said no, or would not commit since a statement had failed, or
   * the transaction was not the one that was begun any more
   * @throws {UnavailableError} `HF_UNAVAILABLE` when there was no connection, or not time enough; nothing was changed
   * @throws {UnknownOutcomeError} `HF_UNKNOWN_OUTCOME` when no answer came to the commit
   */
  run<T>(lease: FencedLease, work: (tx: PoolClient) => Promise<T>): Promise<T>
}

/** How a guard is made. */
export interface PostgresFenceOptions {
  /** A pool of pg (8) to the database with the protected data. It stays yours. Needed by `run`, and by `acquire(name, { guard })`. */
  readonly pool?: Pool
  /** Where the table of fences is. @default 'holdfast' */
  readonly schema?: string
  /** Its name. What is missing of it is made on first use, with the pool, by whoever may. @default 'fences' */
  readonly table?: string
  /** How long raising may take, in milliseconds, 50 to 60,000. @default 2000 */
  readonly commandTimeoutMs?: number
}

const KNOWN: ReadonlySet<string> = new Set(['pool', 'schema', 'table', 'commandTimeoutMs'])

/**
 * A guard that keeps the newest token of each resource in a table of the database that it protects.
 *
 * ```ts
 * const fence = postgresFence({ pool })
 * await fence.run(lease, tx => tx.query('UPDATE stock SET left_over = left_over - 1 WHERE item = 42'))
 * ```
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function postgresFence(options: PostgresFenceOptions & { readonly pool: Pool }): PostgresFence
export function postgresFence(options?: PostgresFenceOptions): PostgresCheck
export function postgresFence(options: PostgresFenceOptions = {}): PostgresFence | PostgresCheck {
  checkOptions(options)
  const schema = schemaOf(options.schema ?? POSTGRES_DEFAULTS.schema)
  const name = options.table ?? FENCE_TABLE
  const fences = new TableFence(schema, name, options)
  const check = (tx: PostgresQueryable, fenced: Fenced): Promise<void> => fences.check(tx, fenced)
  const { pool } = options
  if (pool === undefined) return { check }
  return {
    check,
    raise: fenced => fences.raise(fenced),
    run: (lease, work) =>
      runFenced({ pool, clock: systemClock, ready: client => fences.ready(client), check }, lease, work),
  }
}

class TableFence {
  readonly #table: FenceTable
  readonly #prepare: (client: ClientBase) => Promise<ServerFacts>
  readonly #connection: PostgresConnection | undefined
  #isThere = false

  constructor(schema: Schema, name: string, options: PostgresFenceOptions) {
    const { pool, commandTimeoutMs = POSTGRES_DEFAULTS.commandTimeoutMs } = options
    this.#table = new FenceTable(schema, name)
    this.#prepare = client => prepare(client, fencesOnly(schema, name))
    if (pool === undefined) return
    this.#connection = new PostgresConnection({
      clock: systemClock,
      commandTimeoutMs,
      isOurs: false,
      open: () => Promise.resolve(pool),
      prepare: this.#prepare,
      onHealth: () => {},
    })
  }

  /** Sees to the table, over a connection that is in no transaction. */
  async ready(client: ClientBase): Promise<void> {
    if (!this.#isThere && !(await this.#table.isThere(client))) await this.#prepare(client)
    this.#isThere = true
  }

  async check(tx: PostgresQueryable, given: Fenced): Promise<void> {
    const fenced = checkFenced(given)
    if (typeof tx?.query !== 'function') {
      throw new InvalidArgumentError('tx', `Expected \`tx\` to have pg's \`query\`, got ${show(tx)}.`)
    }
    // To find that out by failing would cost the caller his transaction.
    if (!this.#isThere && !(await this.#table.isThere(tx))) await this.#create()
    this.#isThere = true
    await this.#table.check(tx, fenced)
  }

  // Raising twice does no harm, so a broken connection only means to try again.
  async raise(given: Fenced): Promise<void> {
    const fenced = checkFenced(given)
    await this.#connection?.within((client, remainingMs) =>
      this.#table.raise(client, fenced, Math.max(1, Math.floor(remainingMs * 0.9))),
    )
  }

  // Not in the caller's transaction: all who come would wait until that ends.
  async #create(): Promise<void> {
    if (this.#connection === undefined) {
      throw new RefusedError(
        `PostgreSQL has no table ${this.#table.quoted}: make it once with postgresFence({ pool }), or give this fence a pool.`,
      )
    }
    try {
      await this.#connection.within(client => this.#table.isThere(client))
    } catch (cause) {
      if (!(cause instanceof UnavailableError)) throw cause
      throw new UnavailableError(
        `PostgreSQL has no table ${this.#table.quoted} yet, and the pool had no second connection to make it with, beside the transaction: make it once before, by \`run\` or \`raise\` of this fence.`,
        { cause },
      )
    }
  }
}

function checkOptions(options: PostgresFenceOptions): void {
  checkKeys('postgresFence', options, KNOWN)
  const { pool, schema, table, commandTimeoutMs } = options
  if (pool !== undefined) checkPool(pool)
  if (schema !== undefined) checkSchema(schema)
  if (table !== undefined) checkTable(table)
  if (commandTimeoutMs !== undefined) checkDurationMs('commandTimeoutMs', commandTimeoutMs, { min: 50, max: 60_000 })
}
