import type { Pool, PoolClient } from 'pg'
import { onAbort } from '../abort.ts'
import type { Clock } from '../clock.ts'
import {
  ClosedError,
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
import { endingClient } from './ending-client.ts'
import { isBusy, isFailedBefore, isStatementError, refusal, withoutSecrets } from './errors.ts'

/** A lease, as far as a transaction under it has to know of it. */
export type FencedLease = Pick<Lease, 'resource' | 'token' | 'signal' | 'remainingMs' | 'assertHeld'>

/** What such a transaction needs. */
export interface FencedTransactionParts {
  readonly pool: Pool
  readonly clock: Clock
  /** Makes what `check` needs, before the transaction begins. */
  readonly ready: (client: PoolClient) => Promise<void>
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
  #isWorkDone = false

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
      await this.#deadline.race(this.#parts.ready(client))
      this.#isOpen = true
      await this.#deadline.race(client.query(beginStatement(this.#leftMs)))
      await this.#deadline.race(this.#parts.check(client, fenced))
    } catch (error) {
      throw this.#failure(error)
    }
  }

  async work<T>(run: (tx: PoolClient) => Promise<T>): Promise<T> {
    const tx = endingClient(this.#client as PoolClient, () => this.#ended())
    // In a promise of its own: a function that is not async may throw at once.
    const running = (async () => run(tx))()
    try {
      return await this.#deadline.race(running)
    } catch (error) {
      throw this.#deadline.isOver ? this.#overdue() : error
    } finally {
      // What was sent by now comes before the commit or rollback, on the same connection. Nothing may come after.
      this.#isWorkDone = true
    }
  }

  async commit(): Promise<void> {
    this.#lease.assertHeld()
    if (this.#deadline.isOver) throw this.#overdue()
    try {
      await this.#deadline.race((this.#client as PoolClient).query(COMMIT_WHAT_BEGAN))
      this.#isOpen = false
    } catch (error) {
      if (isFailedBefore(error)) throw this.#failedBefore()
      if (isOfAnother(error)) throw this.#notFenced()
      if (isStatementError(error)) throw this.#failure(error)
      throw new UnknownOutcomeError(
        `No answer came to the commit of a write to "${this.#lease.resource}": it happened, or it did not.`,
        { cause: withoutSecrets(error) },
      )
    }
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

  #ended(): HoldfastError | undefined {
    if (this.#deadline.isOver) return this.#overdue()
    return this.#isWorkDone ? new ClosedError('transaction of fence.run', ENDED) : undefined
  }

  #failedBefore(): RefusedError {
    return new RefusedError(
      `PostgreSQL rolled back a write to "${this.#lease.resource}": a statement of it had failed, and its error was caught.`,
    )
  }

  #notFenced(): RefusedError {
    return new RefusedError(
      `The work on "${this.#lease.resource}" ended its transaction (COMMIT or ROLLBACK), so what it did after that was not fenced: what it committed stands, the rest was rolled back.`,
    )
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
    if (this.#lease.remainingMs() < TIMER_GRAIN_MS) return new LeaseLostError(resource, 'expired')
    return new UnavailableError(
      `A write to "${resource}" was not done within the ${this.#leftMs} ms that its lease had left when it began, and was rolled back.`,
    )
  }
}

// A timer may fire so much before its time, and this one's time was rounded down: a lease with less than that left has ended.
const TIMER_GRAIN_MS = 2

const ENDED = 'The transaction of fence.run has ended: await every query in `work`.'

// A setting of the transaction that was begun, and of no later one. What there is no sense in as a number ends the commit before it is
// done, and names itself in the server's message, whatever the language of that.
const RUN_SETTING = 'holdfast.fenced_run'
const NOT_BEGUN_HERE = 'not the fenced transaction'
const COMMIT_WHAT_BEGAN = `
    SELECT (CASE current_setting('${RUN_SETTING}', true) WHEN 'begun' THEN '1' ELSE '${NOT_BEGUN_HERE}' END)::integer;
    COMMIT`

function isOfAnother(error: unknown): boolean {
  return isStatementError(error) && String(error).includes(NOT_BEGUN_HERE)
}

// The limits of the server apply while they are stricter. From PostgreSQL 17 on it limits the whole transaction, too.
function beginStatement(leftMs: number): string {
  return `
    BEGIN;
    SET LOCAL ${RUN_SETTING} = 'begun';
    SELECT set_config(name, least(nullif(setting::bigint, 0), ${leftMs})::text, true) FROM pg_catalog.pg_settings
      WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`
}
