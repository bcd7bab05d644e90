import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { sharedPostgres, sharedRedis, sharedZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { memoryBackend } from '../memory/index.ts'
import { postgresBackend, sqlRow } from '../postgres/index.ts'
import type { SqlRow, Unchanged } from '../postgres/index.ts'
import { redisBackend, redisValue } from '../redis/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import { zookeeperBackend, zookeeperNode } from '../zookeeper/index.ts'
import type { Cell } from './cell.ts'
import { recordCell } from './record-cell.ts'
import { updateIfUnchanged } from './update-if-unchanged.ts'

const SELLERS = 8
const SALES = 10
const STOCK = 50
const PATIENT = { attemptsMax: 1_000, backOffMs: 2 }
const schema = `hf_cells_${process.pid}`
const root = `/hf-cells-${randomUUID()}`

let pool: Pool
let client: Redis
let redisUrl: string
let postgresUrl: string
const closing: (() => Promise<unknown>)[] = []
const backends: Record<string, Backend> = {}

beforeAll(async () => {
  const [redis, zookeeper, postgres] = await Promise.all([sharedRedis(), sharedZooKeeper(), sharedPostgres()])
  redisUrl = redis.url
  postgresUrl = postgres.url
  pool = new Pool({ connectionString: postgres.url, max: 4 })
  pool.on('error', () => {})
  client = new Redis(redis.url)
  await pool.query(`CREATE SCHEMA ${schema}`)
  await pool.query(`CREATE TABLE ${schema}.stock (item integer PRIMARY KEY, units integer NOT NULL,
    tags jsonb, version bigint DEFAULT 1, updated_at timestamptz DEFAULT clock_timestamp())`)
  backends['memory'] = memoryBackend()
  backends['redis'] = redisBackend({ url: redis.url, prefix: `hf-cells-${process.pid}` })
  backends['zookeeper'] = zookeeperBackend({ connect: zookeeper.connectString, root })
  backends['postgres'] = postgresBackend({ url: postgres.url, schema: `${schema}_hf` })
  closing.push(
    async () => Promise.all(Object.values(backends).map(backend => backend.close())),
    async () => pool.query(`DROP SCHEMA IF EXISTS ${schema}, ${schema}_hf CASCADE`),
    async () => Promise.all([pool.end(), client.quit()]),
    async () => Promise.all([redis.stop(), zookeeper.stop(), postgres.stop()]),
  )
})
afterAll(async () => {
  for (const close of closing) await close()
})

function backendOf(name: string): Backend {
  const backend = backends[name]
  if (backend === undefined) throw new Error(`There is no backend ${name}.`)
  return backend
}

/** A count in a cell, whatever its bytes are. */
interface Count {
  readonly cell: () => Promise<Cell<unknown>>
  readonly of: (value: unknown) => number
  readonly to: (units: number, before: unknown) => unknown
}

const bytes: Pick<Count, 'of' | 'to'> = {
  of: value => Number(new TextDecoder().decode(value as Uint8Array)),
  to: units => new TextEncoder().encode(String(units)),
}

function ofRecords(name: string): Count {
  const id = randomUUID()
  return { ...bytes, cell: async () => recordCell(backendOf(name), { directory: 'stock', id }) as Cell<unknown> }
}

let items = 0

function ofRow(unchanged: Unchanged): Count {
  const item = (items += 1)
  return {
    cell: async () => {
      await pool.query(`INSERT INTO ${schema}.stock VALUES ($1, $2)`, [item, STOCK])
      return sqlRow(pool, { table: `${schema}.stock`, key: { item }, unchanged }) as Cell<unknown>
    },
    of: value => (value as { units: number }).units,
    to: (units, before) => ({ ...(before as SqlRow), units }),
  }
}

const counts: [string, () => Count][] = [
  ['a record in memory', () => ofRecords('memory')],
  ['a record in Redis', () => ofRecords('redis')],
  ['a record in ZooKeeper', () => ofRecords('zookeeper')],
  ['a record in PostgreSQL', () => ofRecords('postgres')],
  [
    'a key of Redis',
    () => {
      const key = `hf-cells-${randomUUID()}`
      return { cell: async () => redisValue(client, key) as Cell<unknown>, of: Number, to: units => String(units) }
    },
  ],
  [
    'a node of ZooKeeper',
    () => {
      const path = `${root}/${randomUUID()}`
      return { ...bytes, cell: async () => zookeeperNode(backendOf('zookeeper'), path) as Cell<unknown> }
    },
  ],
  ['a row with a version', () => ofRow({ version: 'version' })],
  ['a row with a time', () => ofRow({ timestamp: 'updated_at' })],
  ['a row with the value itself', () => ofRow({ columns: ['units'] })],
]

async function stocked({ cell, to }: Count): Promise<Cell<unknown>> {
  const stock = await cell()
  await updateIfUnchanged(stock, value => (value === undefined ? to(STOCK, value) : undefined))
  return stock
}

describe.each(counts)('%s', (_name, countOf) => {
  it('sells what there is, and nothing twice, to eight sellers at once', async () => {
    const count = countOf()
    const stock = await stocked(count)
    const take = (value: unknown): unknown => (count.of(value) === 0 ? undefined : count.to(count.of(value) - 1, value))
    const sell = async (): Promise<number> => {
      let sold = 0
      for (let sale = 0; sale < SALES; sale += 1) {
        if ((await updateIfUnchanged(stock, take, PATIENT)).kind === 'updated') sold += 1
      }
      return sold
    }
    const sold = await Promise.all(Array.from({ length: SELLERS }, sell))
    expect(sold.reduce((sum, units) => sum + units, 0)).toBe(STOCK)
    expect(count.of((await stock.read()).value)).toBe(0)
  })

  it('is not written when it is not as it was seen', async () => {
    const count = countOf()
    const stock = await stocked(count)
    const seen = await stock.read()
    expect(await stock.writeIfUnchanged(seen, count.to(3, seen.value))).not.toBe(false)
    expect(await stock.writeIfUnchanged(seen, count.to(7, seen.value))).toBe(false)
    expect(count.of((await stock.read()).value)).toBe(3)
  })
})

describe('The same without a look at what others wrote (the control)', () => {
  it('loses sales', async () => {
    const count = ofRow({ columns: ['units'] })
    const stock = await count.cell()
    const blind = async (): Promise<void> => {
      const { value } = await stock.read()
      const units = count.of(value) - 1
      await pool.query(`UPDATE ${schema}.stock SET units = $1 WHERE item = $2`, [units, (value as SqlRow)['item']])
    }
    await Promise.all(Array.from({ length: SELLERS }, blind))
    expect(count.of((await stock.read()).value)).toBeGreaterThan(STOCK - SELLERS)
  })
})

describe('A row', () => {
  const changedAndBack = async (unchanged: Unchanged): Promise<boolean> => {
    const count = ofRow(unchanged)
    const stock = await count.cell()
    const seen = await stock.read()
    for (const units of [1, STOCK]) await updateIfUnchanged(stock, value => count.to(units, value))
    return (await stock.writeIfUnchanged(seen, count.to(7, seen.value))) !== false
  }

  it('that was changed and changed back is another by its version or its time, and the same by its value', async () => {
    expect(await changedAndBack({ version: 'version' })).toBe(false)
    expect(await changedAndBack({ timestamp: 'updated_at' })).toBe(false)
    expect(await changedAndBack({ columns: ['units'] })).toBe(true)
  })

  it('is written also when it was changed in place, deep inside too', async () => {
    const item = (items += 1)
    await pool.query(`INSERT INTO ${schema}.stock (item, units, tags) VALUES ($1, 1, '{"hot":1}')`, [item])
    const row = sqlRow(pool, { table: `${schema}.stock`, key: { item }, unchanged: { version: 'version' } })
    await updateIfUnchanged(row, stock => {
      if (stock === undefined) return undefined
      const changing = stock as { units: number; tags: { hot: number } }
      changing.units += 1
      changing.tags.hot += 1
      return changing
    })
    expect((await row.read()).value).toMatchObject({ units: 2, tags: { hot: 2 }, version: '2' })
  })

  it('may have a key of any number, and no version yet', async () => {
    const item = (items += 1)
    await pool.query(`INSERT INTO ${schema}.stock (item, units, version, updated_at) VALUES ($1, 1, NULL, NULL)`, [
      item,
    ])
    for (const unchanged of [{ version: 'version' }, { timestamp: 'updated_at' }]) {
      const row = sqlRow(pool, { table: `${schema}.stock`, key: { item: BigInt(item) }, unchanged })
      expect(await updateIfUnchanged(row, value => ({ ...value, units: 7 }))).toMatchObject({
        kind: 'updated',
        attempts: 1,
      })
      expect((await row.read()).value).toMatchObject({ units: 7 })
    }
  })

  it.each(['', '\uFEFFwith a mark', 'größer 🔑', '\u0000'])('holds any text: %j', async text => {
    const key = `hf-cells-${randomUUID()}`
    await client.set(key, text)
    const outcome = await updateIfUnchanged(redisValue(client, key), value => `${value}!`)
    expect(outcome).toEqual({ kind: 'updated', value: `${text}!`, attempts: 1 })
    expect(await client.getBuffer(key)).toEqual(Buffer.from(`${text}!`))
  })

  it.each([[[0xff, 0x00]], [[0x61, 0xc3]], [[0xed, 0xa0, 0x80]]])(
    'that holds bytes which are no text is refused, not changed, and no conflict: %j',
    async bytes => {
      const key = `hf-cells-${randomUUID()}`
      await client.set(key, Buffer.from(bytes))
      await expect(updateIfUnchanged(redisValue(client, key), () => '2')).rejects.toMatchObject({
        code: 'HF_REFUSED',
        message: `The key "${key}" holds ${bytes.length} bytes that are no text in UTF-8: redisValue is for text.`,
      })
      expect(await client.getBuffer(key)).toEqual(Buffer.from(bytes))
    },
  )

  it('is of unknown state when the link broke under the write', async () => {
    const { hostname, port } = new URL(postgresUrl)
    await using proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
    const address = new URL(postgresUrl)
    address.host = proxy.connectString
    const through = new Pool({ connectionString: address.href, max: 1 })
    through.on('error', () => {})
    const item = (items += 1)
    await pool.query(`INSERT INTO ${schema}.stock (item, units) VALUES ($1, 1)`, [item])
    const row = sqlRow(through, { table: `${schema}.stock`, key: { item }, unchanged: { version: 'version' } })
    const seen = await row.read()
    proxy.hold({ direction: 'to-client' })
    const writing = row.writeIfUnchanged(seen, { ...seen.value, units: 2 })
    writing.catch(() => undefined)
    const units = async (): Promise<unknown> =>
      (await pool.query<{ units: number }>(`SELECT units FROM ${schema}.stock WHERE item = $1`, [item])).rows[0]?.units
    await expect.poll(units).toBe(2)
    proxy.dropConnections()
    await expect(writing).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    await through.end()
  })

  it('goes by its own version, whatever the change made of that', async () => {
    const count = ofRow({ version: 'version' })
    const stock = await count.cell()
    await updateIfUnchanged(stock, value => ({ ...(value as SqlRow), units: 7, version: 99 }))
    expect((await stock.read()).value).toMatchObject({ units: 7, version: '2' })
  })

  it('in which nothing differs is not written, and still looked at', async () => {
    const count = ofRow({ columns: ['units'] })
    const stock = await count.cell()
    const seen = await stock.read()
    expect(await stock.writeIfUnchanged(seen, { ...(seen.value as SqlRow) })).toEqual({ value: seen.value })
    await updateIfUnchanged(stock, value => count.to(7, value))
    expect(await stock.writeIfUnchanged(seen, { ...(seen.value as SqlRow) })).toBe(false)
  })

  it.each([5, null, 'a row', []])('is never made of %j', async value => {
    const stock = await ofRow({ version: 'version' }).cell()
    await expect(updateIfUnchanged(stock, () => value)).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })

  it('that is not there is not made', async () => {
    const row = sqlRow(pool, { table: `${schema}.stock`, key: { item: -1 }, unchanged: { version: 'version' } })
    expect(await updateIfUnchanged(row, value => value)).toMatchObject({ kind: 'kept', value: undefined })
    await expect(updateIfUnchanged(row, () => ({ units: 1 }))).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })

  it('must be one', async () => {
    const row = sqlRow(pool, { table: `${schema}.stock`, key: { units: 0 }, unchanged: { version: 'version' } })
    await pool.query(`INSERT INTO ${schema}.stock VALUES (-2, 0), (-3, 0)`)
    await expect(row.read()).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
  })

  it.each([
    [{ table: '', key: { item: 1 }, unchanged: { version: 'v' } }, 'table'],
    [{ table: 'stock', key: {}, unchanged: { version: 'v' } }, 'key'],
    [{ table: 'stock', key: { item: 1 }, unchanged: { columns: [] } }, 'unchanged'],
    [{ table: 'stock', key: { item: 1 }, unchanged: 'version' }, 'unchanged'],
    [{ table: 'stock', key: { item: 1 }, unchanged: { version: 'v' }, extra: 1 }, 'extra'],
  ])('refuses %j', (options, word) => {
    expect(() => sqlRow(pool, options as never)).toThrow(word)
  })

  it('takes names as they are: none of them is run as SQL', async () => {
    const evil = {
      table: `${schema}.stock" CROSS JOIN pg_user --`,
      key: { item: 1 },
      unchanged: { version: 'version' },
    }
    await expect(sqlRow(pool, evil).read()).rejects.toThrow('does not exist')
    expect((await pool.query(`SELECT count(*) FROM ${schema}.stock`)).rows).toHaveLength(1)
  })
})

describe('A key of Redis', () => {
  it('keeps how long it is kept', async () => {
    const key = `hf-cells-${randomUUID()}`
    await client.set(key, '1', 'PX', 60_000)
    await updateIfUnchanged(redisValue(client, key), () => '2')
    expect(await client.pttl(key)).toBeGreaterThan(0)
  })

  it.each([5, null, { a: 1 }, ['x', 'y'], Buffer.from('x'), 'half a pair: \uD83D'])(
    'is not written with what is no text: %j',
    async value => {
      const key = `hf-cells-${randomUUID()}`
      const updating = updateIfUnchanged(redisValue(client, key), () => value as never)
      await expect(updating).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT' })
      expect(await client.exists(key)).toBe(0)
    },
  )

  it('is of unknown state when the link broke under the write: a no could be to the write itself', async () => {
    const { hostname, port } = new URL(redisUrl)
    await using proxy = await createFaultProxy({ target: { host: hostname, port: Number(port) } })
    const through = new Redis(proxy.redisUrl, { retryStrategy: () => 10 })
    through.on('error', () => {})
    const key = `hf-cells-${randomUUID()}`
    const cell = redisValue(through, key)
    await updateIfUnchanged(cell, () => '1')
    const seen = await cell.read()
    proxy.hold({ direction: 'to-client' })
    const writing = cell.writeIfUnchanged(seen, '2')
    await expect.poll(() => client.get(key)).toBe('2')
    proxy.dropConnections()
    proxy.heal()
    await expect(writing).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    through.disconnect()
  })
})
