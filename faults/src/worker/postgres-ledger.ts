import { FencingToken, StaleTokenError } from '@holdfast/core'
import type { PostgresFence } from '@holdfast/core/postgres'
import { postgresFence } from '@holdfast/core/postgres'
import pg from 'pg'
import type { Ledger, LedgerWrite } from './ledger.ts'
import type { WriteOutcome } from './protocol.ts'

/** Longer than any run: who is stopped in the middle of a write must not lose it for that. */
const COMMAND_TIMEOUT_MS = 10_000

/** A ledger in a table. */
export class PostgresLedger implements Ledger {
  readonly guard: PostgresFence
  readonly #pool: pg.Pool

  constructor(port: number, schema: string) {
    this.#pool = new pg.Pool({ connectionString: postgresUrl(port), max: 2 })
    this.#pool.on('error', () => {})
    this.guard = postgresFence({ pool: this.#pool, schema, commandTimeoutMs: COMMAND_TIMEOUT_MS })
  }

  async write({ resource, token, isGuarded }: LedgerWrite): Promise<WriteOutcome> {
    if (!isGuarded) return { kind: 'accepted', order: await insert(this.#pool, { resource, token }) }
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      await this.guard.check(client, { resource, token: new FencingToken(token) })
      const order = await insert(client, { resource, token })
      await client.query('COMMIT')
      return { kind: 'accepted', order }
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined)
      if (error instanceof StaleTokenError) return { kind: 'refused' }
      return { kind: 'unknown', message: String(error) }
    } finally {
      client.release()
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}

export function postgresUrl(port: number): string {
  return `postgres://postgres@127.0.0.1:${port}/postgres`
}

async function insert(
  client: Pick<pg.ClientBase, 'query'> | pg.Pool,
  { resource, token }: { readonly resource: string; readonly token: bigint },
): Promise<number> {
  const text = 'INSERT INTO ledger (resource, token) VALUES ($1, $2) RETURNING written'
  const { rows } = await client.query<{ written: number }>(text, [resource, String(token)])
  return rows[0]?.written ?? 0
}
