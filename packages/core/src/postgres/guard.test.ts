import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import { FencingToken } from '../fencing/token.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import { createFaultProxy } from '../testing/index.ts'
import type { PostgresFence } from './index.ts'
import { postgresBackend, postgresFence } from './index.ts'

let server: PostgresServer
let pool: Pool
let backend: Backend
let fence: PostgresFence
let name: string

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(async () => {
  await server.stop()
})

beforeEach(async () => {
  pool = new Pool({ connectionString: server.url, max: 5 })
  pool.on('error', () => {})
  backend = postgresBackend({ url: server.url })
  fence = postgresFence({ pool })
  name = randomUUID()
  await pool.query('CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, amount integer NOT NULL)')
  await pool.query('INSERT INTO stock VALUES ($1, 10)', [name])
})

afterEach(async () => {
  await backend.close()
  await pool.end()
})

const token = (value: bigint): FencingToken => new FencingToken(value)
const sellOne = (tx: { query: PoolClient['query'] }) =>
  tx.query('UPDATE stock SET amount = amount - 1 WHERE item = $1', [name])

async function amount(): Promise<number | undefined> {
  const { rows } = await pool.query<{ amount: number }>('SELECT amount FROM stock WHERE item = $1', [name])
  return rows[0]?.amount
}

async function leaseFor(ttlMs: number, renew = false): Promise<Lease> {
  const lease = await acquireLease(backend, name, { ttlMs, renew })
  onTestFinished(() => void lease.release())
  return lease
}

/** Runs in a transaction of a connection that ends with the test. */
async function inTransaction<T>(run: (tx: PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  try {
    await tx.query('BEGIN')
    const value = await run(tx)
    await tx.query('COMMIT')
    return value
  } catch (error) {
    await tx.query('ROLLBACK')
    throw error
  } finally {
    tx.release()
  }
}

describe('check', () => {
  it('lets the newest token and the same again pass, and commits it together with the write', async () => {
    for (const value of [5n, 5n, 2n ** 64n - 1n]) {
      await inTransaction(async tx => {
        await fence.check(tx, { resource: name, token: token(value) })
        await sellOne(tx)
      })
    }
    expect(await amount()).toBe(7)
  })

  it('refuses a stale token with the newest one, and leaves the transaction usable', async () => {
    await fence.raise({ resource: name, token: token(7n) })
    await inTransaction(async tx => {
      const stale = fence.check(tx, { resource: name, token: token(6n) })
      await expect(stale).rejects.toMatchObject({ code: 'HF_STALE_TOKEN', resource: name, newest: { value: 7n } })
      await sellOne(tx)
    })
    expect(await amount()).toBe(9)
    await fence.raise({ resource: name, token: token(7n) })
  })

  it('forgets the token when the transaction is rolled back', async () => {
    const failed = inTransaction(async tx => {
      await fence.check(tx, { resource: name, token: token(9n) })
      throw new Error('not today')
    })
    await expect(failed).rejects.toThrow('not today')
    await inTransaction(tx => fence.check(tx, { resource: name, token: token(8n) }))
  })

  it('makes an older holder wait for the newer one that has checked, and then refuses it', async () => {
    let older: Promise<unknown> = Promise.resolve()
    await inTransaction(async tx => {
      await fence.check(tx, { resource: name, token: token(3n) })
      older = inTransaction(other => fence.check(other, { resource: name, token: token(2n) })).catch(
        (error: unknown) => error,
      )
      await expect.poll(waiting).toBe(1)
      await sellOne(tx)
    })
    expect(await older).toMatchObject({ code: 'HF_STALE_TOKEN', newest: { value: 3n } })
  })

  it('refuses a connection that is in no transaction, and changes nothing', async () => {
    const alone = fence.check(pool, { resource: name, token: token(9n) })
    await expect(alone).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'tx' })
    await fence.raise({ resource: name, token: token(1n) })
    await expect(fence.check(pool, { resource: name, token: token(9n) })).rejects.toThrow('in a transaction')
    await fence.raise({ resource: name, token: token(2n) })
  })

  it('makes its table with the pool, and without one says that it is missing and leaves the transaction usable', async () => {
    const place = { schema: 'of "guards"', table: `fences of ${name}`.slice(0, 40) }
    const checked = (by: Pick<PostgresFence, 'check'>): Promise<void> =>
      inTransaction(async tx => {
        await by.check(tx, { resource: name, token: token(1n) }).finally(() => sellOne(tx))
      })
    const alone = postgresFence(place)
    await expect(inTransaction(tx => alone.check(tx, { resource: name, token: token(1n) }))).rejects.toMatchObject({
      code: 'HF_REFUSED',
    })
    await Promise.all([checked(postgresFence({ pool, ...place })), checked(postgresFence({ pool, ...place }))])
    await checked(alone)
    expect(await amount()).toBe(7)
  })

  it('says what to do when its pool has no second connection to make its table with, and leaves the transaction usable', async () => {
    const one = new Pool({ connectionString: server.url, max: 1 })
    onTestFinished(() => one.end())
    const guard = postgresFence({ pool: one, table: `of ${name}`, commandTimeoutMs: 2_000 })
    const fenced = { resource: name, token: token(1n) }
    const tx = await one.connect()
    await tx.query('BEGIN')
    await expect(guard.check(tx, fenced)).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
      message: `PostgreSQL has no table "holdfast"."of ${name}" yet, and the pool had no second connection to make it with, beside the transaction: make it once before, by \`run\` or \`raise\` of this fence.`,
    })
    await sellOne(tx)
    await tx.query('COMMIT')
    tx.release()
    await guard.raise(fenced)
    const again = await one.connect()
    await again.query('BEGIN')
    await guard.check(again, fenced)
    await again.query('COMMIT')
    again.release()
    expect(await amount()).toBe(9)
  })

  it('refuses what is no token, no transaction, or no option, before anything is sent', async () => {
    const fenced = { resource: name, token: token(1n) }
    await expect(fence.check(pool, { resource: name, token: 1n as never })).rejects.toThrow('FencingToken')
    await expect(fence.check(undefined as never, fenced)).rejects.toThrow('`tx`')
    expect(() => postgresFence({ pool: {} as never })).toThrow('`pool`')
    expect(() => postgresFence({ table: 'x'.repeat(64) })).toThrow('`table`')
    expect(() => postgresFence({ schema: 'pg_x' })).toThrow('`schema`')
    expect(() => postgresFence({ commandTimeoutMs: 1 })).toThrow('`commandTimeoutMs`')
    expect(() => postgresFence({ tables: 'x' } as never)).toThrow('tables')
  })
})

describe('acquire with { guard }', () => {
  it('raises the fence before it hands out the lease, so that the older holder is refused at once', async () => {
    const old = await leaseFor(100)
    const stale = { resource: name, token: old.token }
    await sleep(150)
    const lease = await acquireLease(backend, name, { guard: fence })
    expect(lease.guarantee).toBe('fenced')
    await expect(inTransaction(tx => fence.check(tx, stale))).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    await lease.release()
  })

  it('does not wait longer than it may for a transaction that keeps the fence', async () => {
    const patient = postgresFence({ pool, commandTimeoutMs: 200 })
    await inTransaction(async tx => {
      await fence.check(tx, { resource: name, token: token(1n) })
      const asked = acquireLease(backend, name, { guard: patient })
      await expect(asked).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    })
  })
})

describe('run', () => {
  it('commits what the work did, and answers what it answered', async () => {
    const lease = await leaseFor(5_000)
    expect(await fence.run(lease, async tx => (await sellOne(tx)).rowCount)).toBe(1)
    expect(await amount()).toBe(9)
    await expect(fence.raise({ resource: name, token: token(lease.token.value - 1n) })).rejects.toThrow('stale')
  })

  it('never calls the work of a stale holder', async () => {
    const lease = await leaseFor(5_000)
    await fence.raise({ resource: name, token: token(lease.token.value + 1n) })
    let calls = 0
    await expect(fence.run(lease, async () => (calls += 1))).rejects.toMatchObject({ code: 'HF_STALE_TOKEN' })
    expect(calls).toBe(0)
  })

  it('rolls back when the work throws, also at once, and throws the same', async () => {
    const lease = await leaseFor(5_000)
    const reason = new Error('sold out')
    const failing = [
      async (tx: PoolClient) => {
        await sellOne(tx)
        throw reason
      },
      () => {
        throw reason
      },
    ]
    for (const work of failing) expect(await fence.run(lease, work).catch((error: unknown) => error)).toBe(reason)
    const sql = fence.run(lease, async tx => {
      await sellOne(tx)
      await tx.query('SELECT 1 / 0')
    })
    await expect(sql).rejects.toMatchObject({ code: '22012' })
    expect(await amount()).toBe(10)
    expect([pool.totalCount - pool.idleCount, await openTransactions()]).toEqual([0, 0])
  })

  it('says that nothing was committed when the work caught the error of a statement', async () => {
    const lease = await leaseFor(5_000)
    const swallowed = fence.run(lease, async tx => {
      await sellOne(tx)
      await tx.query('SELECT 1 / 0').catch(() => undefined)
    })
    await expect(swallowed).rejects.toMatchObject({ code: 'HF_REFUSED' })
    expect(await amount()).toBe(10)
  })

  it('says so when the work ended the transaction, rolls back another one that it began, and leaves the connection usable', async () => {
    const one = new Pool({ connectionString: server.url, max: 1 })
    onTestFinished(() => one.end())
    const guard = postgresFence({ pool: one })
    const lease = await leaseFor(5_000)
    const ends = [
      { statements: ['COMMIT'], left: 8 },
      { statements: ['ROLLBACK'], left: 9 },
      { statements: ['COMMIT AND CHAIN'], left: 9 },
      { statements: ['ROLLBACK', 'BEGIN'], left: 10 },
      { statements: ['COMMIT; BEGIN'], left: 9 },
    ]
    for (const { statements, left } of ends) {
      await pool.query('UPDATE stock SET amount = 10 WHERE item = $1', [name])
      const ended = guard.run(lease, async tx => {
        await sellOne(tx)
        for (const statement of statements) await tx.query(statement)
        await sellOne(tx)
        return 'as if all were well'
      })
      await expect(ended).rejects.toMatchObject({
        code: 'HF_REFUSED',
        message: expect.stringContaining('ended its transaction') as string,
      })
      expect([statements, await amount()]).toEqual([statements, left])
    }
    expect(await guard.run(lease, async tx => (await sellOne(tx)).rowCount)).toBe(1)
  })

  it('is one request to commit, and lets the work use savepoints', async () => {
    const lease = await leaseFor(5_000)
    const sent: string[] = []
    let isDone = false
    const one = new Pool({ connectionString: server.url, max: 1 })
    onTestFinished(() => one.end())
    one.on('connect', client => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const noted = (...args: unknown[]) => (isDone && sent.push(String(args[0])), query(...args))
      Object.assign(client, { query: noted })
    })
    await postgresFence({ pool: one }).run(lease, async tx => {
      await tx.query('SAVEPOINT before_it')
      await sellOne(tx)
      await tx.query('ROLLBACK TO before_it')
      await sellOne(tx)
      // What is sent from here on is what ends it.
      isDone = true
    })
    expect(sent.length).toBe(1)
    expect(await amount()).toBe(9)
  })

  it('makes its table before it begins, by the one connection that its pool may have', async () => {
    const one = new Pool({ connectionString: server.url, max: 1 })
    onTestFinished(() => one.end())
    const guard = postgresFence({ pool: one, table: `of ${name}` })
    expect(await guard.run(await leaseFor(30_000), async tx => (await sellOne(tx)).rowCount)).toBe(1)
    expect(await amount()).toBe(9)
  })

  it('rolls back work that is not done when the lease ends, and the next holder gets in', async () => {
    const lease = await leaseFor(300)
    const late = fence.run(lease, async tx => {
      await sellOne(tx)
      await sleep(2_000)
    })
    await expect(late).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    const next = await acquireLease(backend, name, { guard: fence })
    await fence.run(next, sellOne)
    expect(await amount()).toBe(9)
    await next.release()
  })

  it('does not commit when the lease was released meanwhile, nor begin when it is lost', async () => {
    const lease = await leaseFor(5_000)
    const released = fence.run(lease, async tx => {
      await sellOne(tx)
      await lease.release()
    })
    await expect(released).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    await expect(fence.run(lease, sellOne)).rejects.toMatchObject({ code: 'HF_LEASE_LOST' })
    expect(await amount()).toBe(10)
  })

  it('keeps the stricter limits of the server', async () => {
    const strict = new Pool({ connectionString: server.url, max: 1, statement_timeout: 1_234 })
    const lease = await leaseFor(60_000)
    const limits = async (tx: PoolClient) => {
      const { rows } = await tx.query<{ statement: string; idle: string }>(
        `SELECT current_setting('statement_timeout') AS statement, current_setting('idle_in_transaction_session_timeout') AS idle`,
      )
      return [rows[0]?.statement, Number.parseInt(rows[0]?.idle ?? '') > 0]
    }
    expect(await postgresFence({ pool: strict }).run(lease, limits)).toEqual(['1234ms', true])
    const { rows } = await strict.query('SHOW idle_in_transaction_session_timeout')
    expect(rows).toEqual([{ idle_in_transaction_session_timeout: '0' }])
    await strict.end()
  })

  it('over a link that falls silent ends with the lease, and says what it cannot know', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const far = new Pool({ connectionString: `postgres://postgres@${proxy.connectString}/postgres`, max: 2 })
    far.on('error', () => {})
    const lease = await leaseFor(500)
    const silent = postgresFence({ pool: far }).run(lease, async tx => {
      await sellOne(tx)
      proxy.hold()
    })
    await expect(silent).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    proxy.heal()
    await far.end()
  })

  it('leaves no listener on the connections of the pool, however often it is used', async () => {
    const one = new Pool({ connectionString: server.url, max: 1 })
    const guard = postgresFence({ pool: one })
    const lease = await leaseFor(60_000)
    for (let round = 0; round < 12; round += 1) await guard.run(lease, sellOne)
    const client = await one.connect()
    const before = client.listenerCount('error')
    client.release()
    await guard.run(lease, sellOne)
    const again = await one.connect()
    expect(again.listenerCount('error')).toBe(before)
    again.release()
    await one.end()
  })
})

/** How many connections wait for a lock. */
async function waiting(): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
  )
  return Number(rows[0]?.count)
}

async function openTransactions(): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    `SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`,
  )
  return Number(rows[0]?.count)
}
