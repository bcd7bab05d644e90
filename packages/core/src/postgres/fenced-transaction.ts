import type { Pool, PoolClient } from 'pg'
import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import {
  HoldfastError,
  InvalidArgumentError,
  LeaseLostError,
  RefusedError,
  UnavailableError,
  UnknownOutcomeError,
} from '../errors.ts'
import type { Fenced } from '../fencing/guard.ts'
import { checkFenced } from '../fencing/guard.ts'
import type { Lease } from '../lease/lease.ts'
import { show } from '../names.ts'
import { CommandDeadline } from './command-deadline.ts'
import { connected, letGo } from './connection.ts'
import { isBusy, isStatementError, refusal, withoutSecrets } from './errors.ts'

/** A lease, as far as a transaction under it has to know of it. */
export type FencedLease = Pick<Lease, 'resource' | 'token' | 'signal' | 'remainingMs' | 'assertHeld'>

/** What such a transaction needs. */
export interface FencedTransactionParts {
  readonly pool: Pool
  readonly clock: Clock
  readonly check: (tx: PoolClient, fenced: Fenced) => Promise<void>
}

/** See `PostgresFence.run`. */
export async function runFenced<T>(
  parts: FencedTransactionParts,
  lease: FencedLease,
  work: (tx: PoolClient) => Promise<T>,
): Promise<T> {
  const fenced = checkFenced(lease)
  if (typeof lease.remainingMs !== 'function' || typeof work !== 'function') {
    throw new InvalidArgumentError('lease', `Expected a lease, and a function to run under it, got ${show(lease)}.`)
  }
  lease.assertHeld()
  const leftMs = Math.max(1, Math.floor(lease.remainingMs()))
  await using transaction = new FencedTransaction(parts, lease, leftMs)
  await transaction.begin(fenced)
  const value = await transaction.work(work)
  await transaction.commit()
  return value
}

class FencedTransaction implements AsyncDisposable {
  readonly #parts: FencedTransactionParts
  readonly #lease: FencedLease
  readonly #leftMs: number
  readonly #deadline: CommandDeadline
  readonly #stopListening: () => void
  #client: PoolClient | undefined
  #isOpen = false

  constructor(parts: FencedTransactionParts, lease: FencedLease, leftMs: number) {
    this.#parts = parts
    this.#lease = lease
    this.#leftMs = leftMs
    this.#deadline = new CommandDeadline(parts.clock, leftMs)
    this.#stopListening = onAbort(lease.signal, () => this.#deadline.expire())
  }

  async begin(fenced: Fenced): Promise<void> {
    try {
      const client = await this.#deadline.race(connected(this.#parts.pool), late => letGo(late))
      this.#client = client
      this.#isOpen = true
      await this.#deadline.race(client.query(beginStatement(this.#leftMs)))
      await this.#deadline.race(this.#parts.check(client, fenced))
    } catch (error) {
      throw this.#failure(error)
    }
  }

  async work<T>(run: (tx: PoolClient) => Promise<T>): Promise<T> {
    const client = this.#client as PoolClient
    // In a promise of its own: a function that is not async may throw at once.
    const running = (async () => run(client))()
    try {
      return await this.#deadline.race(running)
    } catch (error) {
      throw this.#deadline.isOver ? this.#overdue() : error
    }
  }

  async commit(): Promise<void> {
    this.#lease.assertHeld()
    if (this.#deadline.isOver) throw this.#overdue()
    try {
      const { command } = await this.#deadline.race((this.#client as PoolClient).query('COMMIT'))
      this.#isOpen = false
      if (command === 'COMMIT') return
    } catch (error) {
      if (isStatementError(error)) throw this.#failure(error)
      throw new UnknownOutcomeError(
        `No answer came to the commit of a write to "${this.#lease.resource}": it happened, or it did not.`,
        { cause: withoutSecrets(error) },
      )
    }
    throw new RefusedError(
      `PostgreSQL rolled back a write to "${this.#lease.resource}": a statement of it had failed, and its error was caught.`,
    )
  }

  /** Rolls back what was not committed. A connection that does not answer in time is ended, and the server rolls back by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    const client = this.#client
    let isUsable = !this.#deadline.isOver
    if (client !== undefined && this.#isOpen && isUsable) {
      isUsable = await this.#deadline.race(client.query('ROLLBACK')).then(
        () => true,
        () => false,
      )
    }
    this.#stopListening()
    this.#deadline.cancel()
    if (client !== undefined) letGo(client, isUsable)
  }

  #failure(error: unknown): unknown {
    if (this.#deadline.isOver) return this.#overdue()
    if (error instanceof HoldfastError) return error
    if (isStatementError(error) && !isBusy(error)) return refusal(error)
    const why = error instanceof Error ? error.message : String(error)
    return new UnavailableError(`A write to "${this.#lease.resource}" was not done: ${why}.`, {
      cause: withoutSecrets(error),
    })
  }

  #overdue(): HoldfastError {
    const { resource, signal } = this.#lease
    if (signal.aborted && signal.reason instanceof HoldfastError) return signal.reason
    if (this.#lease.remainingMs() <= 0) return new LeaseLostError(resource, 'expired')
    return new UnavailableError(
      `A write to "${resource}" was not done within the ${this.#leftMs} ms that its lease had left when it began, and was rolled back.`,
    )
  }
}

// The limits of the server apply while they are stricter. From PostgreSQL 17 on it limits the whole transaction, too.
function beginStatement(leftMs: number): string {
  return `
    BEGIN;
    SELECT set_config(name, least(nullif(setting::bigint, 0), ${leftMs})::text, true) FROM pg_catalog.pg_settings
      WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`
}
