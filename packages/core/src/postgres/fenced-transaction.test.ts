import { randomUUID } from 'node:crypto'
import { sharedPostgres } from '@holdfast/scripts/servers'
import type { PoolClient, QueryResult } from 'pg'
import { Client, Pool, Query } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FencingToken } from '../fencing/token.ts'
import type { FencedLease } from './fenced-transaction.ts'
import { postgresFence } from './guard.ts'

const schema = `hf_fenced_${process.pid}`
const ENDED = {
  code: 'HF_CLOSED',
  message: 'The transaction of fence.run has ended: await every query in `work`.',
}

let url: string
let stopServer: () => Promise<unknown>
let others: Pool
let item: string
// Of one connection: who uses it too late is in the transaction of whoever has it then.
let one: Pool

beforeAll(async () => {
  const server = await sharedPostgres()
  url = server.url
  stopServer = () => server.stop()
  others = new Pool({ connectionString: url, max: 2 })
  others.on('error', () => {})
  await others.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.stock (item text PRIMARY KEY, units integer)`)
})
afterAll(async () => {
  await others.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await others.end()
  await stopServer()
})

beforeEach(async () => {
  item = randomUUID()
  await others.query(`INSERT INTO ${schema}.stock VALUES ($1, 10)`, [item])
  one = new Pool({ connectionString: url, max: 1 })
  one.on('error', () => {})
})
afterEach(() => one.end())

const SELL = `UPDATE ${schema}.stock SET units = units - 1 WHERE item = $1`

async function units(): Promise<number | undefined> {
  const { rows } = await others.query<{ units: number }>(`SELECT units FROM ${schema}.stock WHERE item = $1`, [item])
  return rows[0]?.units
}

function leaseOf(remainingMs = 60_000): FencedLease & { readonly end: () => void } {
  const ending = new AbortController()
  return {
    resource: item,
    token: new FencingToken(1n),
    signal: ending.signal,
    remainingMs: () => remainingMs,
    assertHeld: () => ending.signal.throwIfAborted(),
    end: () => ending.abort(new Error('the lease is over')),
  }
}

function run<T>(work: (tx: PoolClient) => Promise<T>, lease: FencedLease = leaseOf()): Promise<T> {
  return postgresFence({ pool: one, schema }).run(lease, work)
}

/** What is left of a transaction once its work is done. */
async function kept(work: (tx: PoolClient) => Promise<unknown> = async () => {}): Promise<PoolClient> {
  let left: PoolClient | undefined
  await run(async tx => {
    left = tx
    await work(tx)
  }).catch(() => undefined)
  return left as PoolClient
}

describe('What fence.run hands to its work', () => {
  it('refuses what comes after the end, also while another has the connection, and that one is left alone', async () => {
    const tx = await kept(async it => await it.query(SELL, [item]))
    const other = await one.connect()
    await other.query('BEGIN')
    await other.query(SELL, [item])
    await expect(tx.query(SELL, [item])).rejects.toMatchObject(ENDED)
    expect(() => tx.release()).toThrow('fence.run')
    expect(() => (tx as unknown as { end: () => void }).end()).toThrow('fence.run')
    await other.query('COMMIT')
    other.release()
    expect(await units()).toBe(8)
  })

  it('refuses it too after work that threw, and by a method that was taken before the end', async () => {
    let query: PoolClient['query'] | undefined
    const tx = await kept(async it => {
      query = it.query.bind(it)
      throw new Error('sold out')
    })
    await expect(query?.(SELL, [item])).rejects.toMatchObject(ENDED)
    await expect(tx.query(SELL, [item])).rejects.toMatchObject(ENDED)
    expect(await units()).toBe(10)
  })

  it('says what ended it when that was the lease, in the middle of the work', async () => {
    const lease = leaseOf()
    let refusal: unknown
    const cut = run(async tx => {
      await tx.query(SELL, [item])
      lease.end()
      refusal = await tx.query(SELL, [item]).catch((error: unknown) => error)
    }, lease)
    await expect(cut).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(refusal).toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(await units()).toBe(10)
  })

  it('says that the lease ended when its own timer is a moment late, and that there was no time when the lease went on', async () => {
    for (const [leftMs, code] of [
      [1.5, 'HF_LEASE_LOST'],
      [50, 'HF_UNAVAILABLE'],
    ] as const) {
      let remainingMs = 60_000
      const lease = { ...leaseOf(), remainingMs: () => remainingMs }
      const cut = run(async () => {
        remainingMs = leftMs
        lease.end()
        await new Promise(() => {})
      }, lease)
      await expect(cut).rejects.toMatchObject({ code })
    }
  })

  it('keeps what was sent before the work settled and not awaited inside: committed, or rolled back with it', async () => {
    let sent: Promise<QueryResult> | undefined
    const work = (isGood: boolean) => async (tx: PoolClient) => {
      sent = tx.query(SELL, [item])
      if (!isGood) throw new Error('sold out')
    }
    await run(work(true))
    expect([(await sent)?.rowCount, await units()]).toEqual([1, 9])
    await expect(run(work(false))).rejects.toThrow('sold out')
    expect([(await sent)?.rowCount, await units()]).toEqual([1, 9])
  })

  it.each([
    ['a callback', (tx: PoolClient, told: (error: Error) => void) => tx.query(SELL, told)],
    ['values and a callback', (tx: PoolClient, told: (error: Error) => void) => tx.query(SELL, [item], told)],
    [
      'a callback of its own',
      (tx: PoolClient, callback: (error: Error) => void) => tx.query({ text: SELL, callback } as never),
    ],
  ])('tells %s that it is refused, later as always', async (_name, send) => {
    const tx = await kept()
    const refusal = await new Promise(resolve => {
      let isLater = false
      expect(send(tx, error => resolve({ isLater, error }))).toBeUndefined()
      isLater = true
    })
    expect(refusal).toMatchObject({ isLater: true, error: ENDED })
  })

  it('tells a query or cursor of the caller that it is refused, and answers it', async () => {
    const tx = await kept()
    const query = new Query(SELL, [item])
    const refusal = new Promise(resolve => void query.on('error', resolve))
    expect(tx.query(query)).toBe(query)
    expect(await refusal).toMatchObject(ENDED)
    expect(await units()).toBe(10)
  })

  it('is not let go of by the work', async () => {
    const early = run(async tx => {
      await tx.query(SELL, [item])
      tx.release()
    })
    await expect(early).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'tx' })
    expect([await units(), one.idleCount]).toEqual([10, 1])
  })

  it('is a client of pg in all other things, and in each way to ask', async () => {
    const rows = await run(async tx => {
      tx.setTypeParser(23, text => `number ${text}`)
      expect(tx).toBeInstanceOf(Client)
      const heard = new Promise(resolve => void tx.on('notice', resolve))
      await tx.query(`DO $$ BEGIN RAISE NOTICE 'here'; END $$`)
      expect(await heard).toMatchObject({ message: 'here' })
      const called = await new Promise(resolve =>
        tx.query('SELECT $1::int AS n', [2], (_, { rows: [row] }) => resolve(row)),
      )
      const query = tx.query(new Query('SELECT 3 AS n'))
      const streamed = await new Promise(resolve => void query.on('row', resolve))
      return [(await tx.query<{ n: string }>({ text: 'SELECT $1::int AS n', values: [1] })).rows[0], called, streamed]
    })
    expect(rows).toEqual([{ n: 'number 1' }, { n: 'number 2' }, { n: 'number 3' }])
  })

  it('may have its query replaced, and the pool has it as it was', async () => {
    const sent: unknown[] = []
    await run(async tx => {
      const query = tx.query.bind(tx) as (...given: unknown[]) => unknown
      Object.assign(tx, { query: (...given: unknown[]) => (sent.push(given[0]), query(...given)) })
      await tx.query(SELL, [item])
    })
    await run(async tx => await tx.query(SELL, [item]))
    await one.query(SELL, [item])
    expect([sent, await units()]).toEqual([[SELL], 7])
  })
})
