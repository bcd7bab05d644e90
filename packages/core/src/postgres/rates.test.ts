import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { RateTake } from '../ports/rates.ts'
import type { PostgresBackendOptions } from './index.ts'
import { postgresBackend, postgresGrants } from './index.ts'

let server: PostgresServer
let admin: Pool

beforeAll(async () => {
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url, max: 3 })
  admin.on('error', () => {})
  await using first = postgresBackend({ url: server.url })
  await first.ready()
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

function opening(options: Partial<PostgresBackendOptions> = {}): Backend {
  const backend = postgresBackend({ url: server.url, ...options })
  onTestFinished(() => backend.close())
  return backend
}

function takeOf(take: Partial<RateTake> = {}): RateTake {
  return { key: randomUUID(), quota: { limit: 10, periodMs: 36_000_000, burst: 10 }, cost: 1, ...take }
}

describe('Rates in PostgreSQL', () => {
  it('are added to a schema that has none, and made anew where they were dropped', async () => {
    const { rates, records } = opening({ schema: 'old' })
    await records.read({ directory: 'a' })
    await admin.query('DROP TABLE old.rates')
    expect((await rates.take(takeOf())).remaining).toBe(9)
    await admin.query('DROP TABLE old.rates; DROP FUNCTION old.take_rates_v1')
    expect((await opening({ schema: 'old' }).rates.take(takeOf())).remaining).toBe(9)
  })

  it('give up a key that another holds for long before their caller does, and keep their connection', async () => {
    const { rates } = opening()
    const take = takeOf({ quota: { limit: 1, periodMs: 3_600_000, burst: 10 } })
    await rates.take(take)
    const holder = await admin.connect()
    onTestFinished(() => holder.release(true))
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM holdfast.rates WHERE key = $1 FOR UPDATE', [take.key])
    const before = await connections()
    const patience = { timeoutMs: 1_000 }
    const calls = [() => rates.take(take, patience), () => rates.giveBack(take.key, take.quota, 1, patience)]
    for (const call of calls) {
      await expect(call()).rejects.toThrow(/^PostgreSQL at .* gave no answer: canceling statement due to lock timeout/)
    }
    expect((await rates.take(takeOf(), { timeoutMs: 30_000 })).kind).toBe('granted')
    expect((await connections()).filter(pid => before.includes(pid))).toEqual(before)
    await holder.query('ROLLBACK')
    expect((await rates.take(take)).remaining).toBe(8)
  })

  it('sweep away rows whose time is over, some at a time, and no others', async () => {
    const { rates } = opening({ schema: 'swept' })
    await rates.take(takeOf())
    await admin.query(`INSERT INTO swept.rates
      SELECT 'old-' || i, clock_timestamp(), 1, clock_timestamp() - interval '1 s' FROM generate_series(1, 500) AS i`)
    const kept = takeOf({ quota: { limit: 1, periodMs: 60_000, burst: 9 } })
    await rates.take(kept)
    let [takes, left] = [0, 500]
    while (left > 0 && takes < 2_000) {
      await rates.take({ ...kept, key: 'busy' })
      takes += 1
      const { rows } = await admin.query<{ left: string }>(
        `SELECT count(*) AS left FROM swept.rates WHERE key LIKE 'old-%'`,
      )
      expect(left - Number(rows[0]?.left)).toBeLessThanOrEqual(64)
      left = Number(rows[0]?.left)
    }
    expect(left).toBe(0)
    expect((await rates.take({ ...kept, cost: 0 })).remaining).toBe(8)
  })

  it('are whole again after a crash of the server', async () => {
    const own = await startPostgres()
    onTestFinished(() => own.stop())
    const { rates } = opening({ url: own.url, commandTimeoutMs: 10_000 })
    const take = takeOf({ quota: { limit: 1, periodMs: 3_600_000, burst: 2 } })
    await rates.take(take)
    await own.restart()
    const remaining = async () => (await rates.take({ ...take, cost: 0 }).catch(() => undefined))?.remaining
    await expect.poll(remaining, { timeout: 60_000 }).toBe(2)
  })

  it('are taken by a limiter, who may do nothing else', async () => {
    await admin.query('CREATE ROLE limiter LOGIN')
    for (const statement of postgresGrants({ limiters: ['limiter'] })) await admin.query(statement)
    const { rates, records } = opening({ url: `postgres://limiter@127.0.0.1:${server.port}/postgres` })
    const take = takeOf()
    const other = takeOf()
    expect((await rates.take(take)).remaining).toBe(9)
    expect(await rates.takeAll([take, other])).toMatchObject([{ remaining: 8 }, { remaining: 9 }])
    await rates.giveBack(take.key, take.quota, 1)
    await expect(records.read({ directory: 'a' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
    for (let at = 0; at < 100; at += 1) await rates.take({ ...take, key: `k${at}` })
  })

  it('come back evenly, to a fraction of a permit', async () => {
    const { rates } = opening()
    const take = takeOf({ quota: { limit: 3, periodMs: 9_000, burst: 3 }, cost: 3 })
    await rates.take(take)
    const refused = await rates.take({ ...take, cost: 1 })
    expect(refused).toMatchObject({ kind: 'refused', remaining: 0 })
    await sleep(3_020)
    expect(await rates.take({ ...take, cost: 1 })).toMatchObject({ kind: 'granted', remaining: 0 })
  })
})

async function connections(): Promise<readonly number[]> {
  const { rows } = await admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast' ORDER BY pid`,
  )
  return rows.map(({ pid }) => pid)
}
