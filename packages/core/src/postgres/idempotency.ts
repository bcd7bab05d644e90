import type { PoolClient } from 'pg'
import type { BackendLifecycle } from '../backend.ts'
import { ClosedError, InvariantError, UnknownOutcomeError } from '../errors.ts'
import { checkBegin, checkCompletion, checkLeaseMs, checkRun } from '../idempotency/checks.ts'
import type { BeginOutcome, BeginRequest, Completion, IdempotencyStore, RunRef } from '../ports/idempotency.ts'
import type { Random } from '../random.ts'
import { randomId } from '../records/revision.ts'
import type { PostgresConnection } from './connection.ts'
import { isStatementError } from './errors.ts'
import type { Statement } from './read-statement.ts'
import type { Schema } from './schema.ts'

/** What idempotency in PostgreSQL is made of. */
export interface PostgresIdempotencyParts {
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  readonly connection: PostgresConnection
  readonly schema: Schema
}

/** What `begin_run_v1` answers. */
type BeginAnswer =
  | { readonly kind: 'run'; readonly fence: string }
  | { readonly kind: 'in-flight'; readonly leaseLeftMs: number }
  | { readonly kind: 'done'; readonly failed: boolean; readonly completedAtMs: number; readonly result: string }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'lost' }

/** Runs of idempotency keys in a table: one row each, one function call and one round trip a step. */
export class PostgresIdempotencyStore implements IdempotencyStore {
  readonly #parts: PostgresIdempotencyParts

  constructor(parts: PostgresIdempotencyParts) {
    this.#parts = parts
  }

  newOwner(): string {
    return randomId(this.#parts.random)
  }

  async begin(request: BeginRequest): Promise<BeginOutcome> {
    checkBegin(request)
    this.#parts.lifecycle.checkOpen()
    const { key, fingerprint, owner, leaseMs, onLost, keepMs } = request
    const answer = await this.#asked({
      text: `SELECT ${this.#parts.schema.quoted}.begin_run_v1($1, $2, $3, $4, $5, $6, $7)`,
      values: [key, fingerprint, owner, leaseMs, onLost === 'rerun', keepMs],
    })
    return outcomeOf(JSON.parse(answer) as BeginAnswer)
  }

  async renew(run: RunRef, leaseMs: number): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkLeaseMs(leaseMs)
    this.#parts.lifecycle.checkUsable()
    const answer = await this.#asked({
      text: `SELECT ${this.#parts.schema.quoted}.renew_run_v1($1, $2, $3, $4, $5)`,
      values: [run.key, run.owner, String(run.fence), leaseMs],
    })
    return keptOf(answer)
  }

  async complete(run: RunRef, completion: Completion): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkCompletion(completion)
    this.#parts.lifecycle.checkUsable()
    const { result, failed, keepMs } = completion
    // A copy: it may be sent when the caller has long written something else there.
    const statement = this.#ending(run, [failed ? 'failed' : 'done', Buffer.from(result), keepMs])
    // Of an attempt that was given up nobody knows what became of it; each one that is answered makes it known.
    let unheard = 0
    try {
      const answer = await this.#parts.connection.within(async (client, remainingMs) => {
        unheard += 1
        const value = await valueOf(client, patiently(statement, remainingMs)).catch((error: unknown) => {
          if (isStatementError(error)) unheard -= 1
          throw error
        })
        unheard = 0
        return value
      })
      return keptOf(answer)
    } catch (cause) {
      if (unheard === 0 || cause instanceof ClosedError) throw cause
      throw new UnknownOutcomeError(
        `The result of "${run.key}" was sent, and no answer came: it may be kept. It may be sent again.`,
        { cause },
      )
    }
  }

  async release(run: RunRef): Promise<'released' | 'stale'> {
    checkRun(run)
    this.#parts.lifecycle.checkUsable()
    const answer = await this.#asked(this.#ending(run, ['released', null, null]))
    return keptOf(answer) === 'kept' ? 'released' : 'stale'
  }

  #ending(run: RunRef, rest: readonly [state: string, result: Buffer | null, keepMs: number | null]): Statement {
    return {
      text: `SELECT ${this.#parts.schema.quoted}.end_run_v1($1, $2, $3, $4, $5, $6, $7)`,
      values: [run.key, run.owner, String(run.fence), ...rest],
    }
  }

  async #asked(statement: Statement): Promise<string> {
    return await this.#parts.connection.within((client, remainingMs) =>
      valueOf(client, patiently(statement, remainingMs)),
    )
  }
}

function outcomeOf(answer: BeginAnswer): BeginOutcome {
  switch (answer.kind) {
    case 'run':
      return { kind: 'run', fence: BigInt(answer.fence) }
    case 'done': {
      const { failed, completedAtMs, result } = answer
      return { kind: 'done', failed, completedAtMs, result: new Uint8Array(Buffer.from(result, 'hex')) }
    }
    case 'in-flight':
    case 'conflict':
    case 'lost':
      return answer
  }
}

function keptOf(answer: string): 'kept' | 'stale' {
  if (answer === 'kept' || answer === 'stale') return answer
  throw new InvariantError(`Expected a step of a run to answer kept or stale, got ${answer}.`)
}

// All of it as text: how the user's driver reads types is his to choose.
const AS_TEXT = { getTypeParser: () => (value: string) => value }

async function valueOf(client: PoolClient, { text, values }: Statement): Promise<string> {
  const query = { text, values: [...values], rowMode: 'array' as const, types: AS_TEXT as never }
  const { rows } = await client.query<string[]>(query)
  return rows[0]?.[0] ?? ''
}

// Who waits for a lock says how long, as the last parameter: so that he has given up, and is heard, before his caller gives up.
function patiently({ text, values }: Statement, remainingMs: number): Statement {
  return { text, values: [...values, Math.max(1, Math.floor(remainingMs * 0.9))] }
}
