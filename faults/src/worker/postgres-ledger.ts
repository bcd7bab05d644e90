import { setTimeout as sleep } from 'node:timers/promises'
import { FencingToken, LeaseLostError, StaleTokenError } from '@holdfast/core'
import type { PostgresFence } from '@holdfast/core/postgres'
import { postgresFence } from '@holdfast/core/postgres'
import pg from 'pg'
import type { Held } from './contender.ts'
import type { Ledger, LedgerWrite } from './ledger.ts'
import type { WriteOutcome } from './protocol.ts'

/** Longer than any run: who is stopped in the middle of a write must not lose it for that. */
const COMMAND_TIMEOUT_MS = 10_000
const SELL = `INSERT INTO stock (resource, sold) VALUES ($1, 1) ON CONFLICT (resource) DO UPDATE SET sold = stock.sold + 1`

type FencedLease = Parameters<PostgresFence['run']>[0]

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

  /** Changes the row of the stock and writes the ledger, in one transaction that stays open for a while. */
  async sell(
    held: Held,
    sale: { readonly isGuarded: boolean; readonly stayMs: number; readonly entered: () => void },
  ): Promise<WriteOutcome> {
    const { resource, token } = held
    const work = async (tx: pg.ClientBase): Promise<number> => {
      await tx.query(SELL, [resource])
      const order = await insert(tx, { resource, token })
      sale.entered()
      await sleep(sale.stayMs)
      return order
    }
    try {
      const order = await (sale.isGuarded ? this.guard.run(fencedLease(held), work) : this.#plainly(work))
      return { kind: 'accepted', order }
    } catch (error) {
      if (error instanceof StaleTokenError || error instanceof LeaseLostError) return { kind: 'refused' }
      return { kind: 'unknown', message: String(error) }
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  async #plainly<T>(work: (tx: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const value = await work(client)
      await client.query('COMMIT')
      return value
    } finally {
      client.release()
    }
  }
}

function fencedLease(held: Held): FencedLease {
  const lost = new AbortController()
  if (held.hasSignalled()) lost.abort()
  held.onLost(() => lost.abort())
  return {
    resource: held.resource,
    token: new FencingToken(held.token),
    signal: lost.signal,
    remainingMs: () => held.remainingMs(),
    assertHeld: () => held.assertHeld(),
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
