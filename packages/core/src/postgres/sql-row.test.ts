import { Pool } from 'pg'
import { sharedPostgres } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cell } from '../optimistic/cell.ts'
import { updateIfUnchanged } from '../optimistic/update-if-unchanged.ts'
import type { SqlRow, Unchanged } from './sql-row.ts'
import { sqlRow } from './sql-row.ts'

const schema = `hf_rows_${process.pid}`
const table = `${schema}.goods`

let pool: Pool
let stopServer: () => Promise<unknown>
let ids = 0

beforeAll(async () => {
  const server = await sharedPostgres()
  stopServer = () => server.stop()
  pool = new Pool({ connectionString: server.url, max: 4 })
  pool.on('error', () => {})
  await pool.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; CREATE DOMAIN to_the_second AS timestamptz(0);
    RESET search_path; CREATE TABLE ${table} (
      id integer PRIMARY KEY, units integer NOT NULL DEFAULT 1, version bigint DEFAULT 1, image bytea DEFAULT '\\x0102',
      span interval DEFAULT '1 day 2 hours', numbers bigint[] DEFAULT '{1,2}', tags jsonb DEFAULT '["a"]',
      "at 6" timestamp DEFAULT clock_timestamp(), at3 timestamptz(3) DEFAULT clock_timestamp(),
      at0 timestamp(0) DEFAULT clock_timestamp(), at_domain ${schema}.to_the_second DEFAULT clock_timestamp(),
      day date DEFAULT current_date, never timestamptz DEFAULT 'infinity',
      label text DEFAULT 'v1', is_good boolean DEFAULT true)`)
})
afterAll(async () => {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await pool.end()
  await stopServer()
})

async function row(unchanged: Unchanged): Promise<Cell<SqlRow>> {
  const id = (ids += 1)
  await pool.query(`INSERT INTO ${table} (id) VALUES ($1)`, [id])
  return sqlRow(pool, { table, key: { id }, unchanged })
}

async function stored(id: unknown, column: string): Promise<unknown> {
  const { rows } = await pool.query<{ found: unknown }>(`SELECT ${column} AS found FROM ${table} WHERE id = $1`, [id])
  return rows[0]?.found
}

describe('The time of a row', () => {
  it.each(['at 6', 'at3', 'at0', 'at_domain'])(
    'moves on with each write, however few digits it has: %s',
    async timestamp => {
      const goods = await row({ timestamp })
      const texts = new Set<unknown>()
      for (let write = 0; write < 4; write += 1) {
        const seen = await goods.read()
        expect(await goods.writeIfUnchanged(seen, { ...seen.value, units: write })).toMatchObject({
          value: { units: write },
        })
        expect(await goods.writeIfUnchanged(seen, { ...seen.value, units: 99 })).toBe(false)
        texts.add(await stored(seen.value?.['id'], `"${timestamp}"::text`))
      }
      expect(texts.size).toBe(4)
    },
  )

  it.each([
    ['day', 'is a date'],
    ['never', 'is infinite'],
  ])('is refused where it cannot move on: %s %s', async timestamp => {
    const goods = await row({ timestamp })
    await expect(goods.read()).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })
})

describe('What a row is given as', () => {
  it('is what the driver makes of it', async () => {
    const { value } = await (await row({ version: 'version' })).read()
    expect(value?.['image']).toBeInstanceOf(Buffer)
    expect(value?.['span']).toHaveProperty('toPostgres')
    expect(value?.['at3']).toBeInstanceOf(Date)
  })

  it('is written only where it differs: nothing of others in columns that were left alone', async () => {
    const goods = await row({ columns: ['units'] })
    const seen = await goods.read()
    const id = seen.value?.['id']
    await pool.query(
      `UPDATE ${table} SET image = '\\xff', span = '9 days', numbers = '{9}', tags = '["z"]' WHERE id = $1`,
      [id],
    )
    expect(await goods.writeIfUnchanged(seen, { ...seen.value, units: 2 })).toMatchObject({ value: { units: 2 } })
    const facts = `concat_ws(' ', units, image, span, numbers, tags)`
    expect(await stored(id, facts)).toBe('2 \\xff 9 days {9} ["z"]')
  })

  it('is written as it is when it was changed in place', async () => {
    const goods = await row({ version: 'version' })
    const id = (await goods.read()).value?.['id']
    await updateIfUnchanged(goods, value => {
      const changing = value as { image: Buffer; span: { days: number }; numbers: (string | bigint)[] }
      changing.image[0] = 7
      changing.span.days = 5
      changing.numbers.push(3n)
      return changing as unknown as SqlRow
    })
    expect(await stored(id, `concat_ws(' ', image, span, numbers)`)).toBe('\\x0702 5 days 02:00:00 {1,2,3}')
  })
})

describe('What a row is after a write', () => {
  it.each([
    [{ version: 'version' }, '2'],
    [{ columns: ['units'] }, '7'],
  ])('is in the outcome, whatever the change put in: by %j', async (unchanged, version) => {
    const goods = await row(unchanged)
    const outcome = await updateIfUnchanged(goods, value => ({ ...value, units: 2, version: 7 }))
    expect(outcome).toEqual({ kind: 'updated', attempts: 1, value: (await goods.read()).value })
    expect(outcome.value).toMatchObject({ units: 2, version, tags: ['a'] })
    const again = await updateIfUnchanged(goods, value => ({ ...value }))
    expect(again.value).toEqual((await goods.read()).value)
  })

  it('is whole, also where the change answered a part of it', async () => {
    const goods = await row({ version: 'version' })
    const { value } = await updateIfUnchanged(goods, () => ({ units: 3 }))
    expect(value).toMatchObject({ units: 3, version: '2', tags: ['a'] })
  })
})

describe('A row', () => {
  it('is not given another key', async () => {
    const goods = await row({ version: 'version' })
    const { value } = await goods.read()
    const id = value?.['id'] as number
    await expect(updateIfUnchanged(goods, seen => ({ ...seen, id: -5 }))).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: `Expected "id" to stay as it is, since it is of the key of the row id = ${id} of ${table}, got -5.`,
    })
    expect((await goods.read()).value).toEqual(value)
    // The same by another type is the same.
    for (const same of [id, String(id), BigInt(id)]) {
      await updateIfUnchanged(goods, seen => ({ ...seen, id: same, units: Number(seen?.['units']) + 1 }))
    }
    expect(await stored(id, 'units')).toBe(4)
  })

  it.each(['label', 'at3', 'is_good'])('has no version that is no number: %s', async version => {
    const goods = await row({ version })
    const { value } = await goods.read()
    await expect(updateIfUnchanged(goods, seen => ({ ...seen, units: 9 }))).rejects.toMatchObject({
      code: 'HF_INVALID_ARGUMENT',
      message: expect.stringContaining(`Expected "${version}" of the row id = `) as unknown,
    })
    expect((await goods.read()).value).toEqual(value)
  })

  it.each([undefined, null])('is not named by %s, which equals nothing', id => {
    expect(() => sqlRow(pool, { table, key: { id }, unchanged: { version: 'version' } })).toThrow('`key.id`')
  })

  it('goes by one thing only', () => {
    const unchanged = { version: 'version', timestamp: 'at3' }
    expect(() => sqlRow(pool, { table, key: { id: 1 }, unchanged })).toThrow('`unchanged`')
  })
})
