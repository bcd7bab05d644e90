import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedPostgres } from '@holdfast/scripts/servers'
import { sharedPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { RecordChange, RecordStore } from '../ports/records.ts'
import { RECORD_LIMITS } from '../ports/records.ts'
import { postgresBackend } from './index.ts'

// The server may be the user's: nothing outside of this schema is touched.
const schema = `hf test "${randomUUID()}"`
const quoted = `"${schema.replaceAll('"', '""')}"`
let server: SharedPostgres
let admin: Pool

beforeAll(async () => {
  server = await sharedPostgres()
  admin = new Pool({ connectionString: server.url, max: 2 })
  // A server of ours may end before the last connection has.
  admin.on('error', () => {})
})

afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${quoted} CASCADE`)
  await admin.end()
  await server.stop()
})

function opened(options: object = {}): Backend {
  const backend = postgresBackend({ url: server.url, schema, ...options })
  onTestFinished(() => backend.close())
  return backend
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const put = (id: string, text: string): RecordChange => ({ kind: 'put', id, value: bytes(text) })

function committing(records: RecordStore, directory: string, ...changes: readonly RecordChange[]) {
  return records.commit({ directory, commitId: records.newId(), changes })
}

describe('Records in PostgreSQL', () => {
  it('200 times, of the first commits of four clients at once exactly one happens', async () => {
    const stores = Array.from({ length: 4 }, () => opened().records)
    for (let round = 0; round < 200; round += 1) {
      const directory = randomUUID()
      const outcomes = await Promise.all(
        stores.map((records, index) =>
          committing(records, directory, { ...put('a', `of ${index}`), expect: 'absent' } as RecordChange),
        ),
      )
      const winners = outcomes.flatMap(outcome => (outcome.kind === 'committed' ? [outcome.revision] : []))
      expect(winners).toHaveLength(1)
      const read = await stores[round % 4]?.read({ directory })
      expect(read).toMatchObject({ kind: 'present', revision: winners[0] })
    }
  })

  it('six clients who come to a server without the tables at once all make what is missing', async () => {
    for (let round = 0; round < 5; round += 1) {
      const fresh = `hf-fresh-${randomUUID()}`
      onTestFinished(async () => void (await admin.query(`DROP SCHEMA IF EXISTS "${fresh}" CASCADE`)))
      const stores = Array.from({ length: 6 }, () => opened({ schema: fresh }).records)
      const outcomes = await Promise.all(stores.map((records, index) => committing(records, 'a', put(`${index}`, 'x'))))
      expect(outcomes.map(({ kind }) => kind)).toEqual(Array(6).fill('committed'))
      const numbers = outcomes.flatMap(outcome => (outcome.kind === 'committed' ? outcome.revision.number : []))
      expect(numbers.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6])
    }
  })

  it('a schema that is dropped while it is used is made anew, and what was in it is missing', async () => {
    const dropped = `hf-dropped-${randomUUID()}`
    onTestFinished(async () => void (await admin.query(`DROP SCHEMA IF EXISTS "${dropped}" CASCADE`)))
    const { records } = opened({ schema: dropped })
    await committing(records, 'a', put('x', '1'))
    await admin.query(`DROP SCHEMA "${dropped}" CASCADE`)
    expect(await records.read({ directory: 'a' })).toEqual({ kind: 'missing' })
    await admin.query(`DROP TABLE "${dropped}".commits`)
    expect(await committing(records, 'a', put('x', '1'))).toMatchObject({ kind: 'committed', revision: { number: 1 } })
  })

  it('a directory with as many records as may be takes no more, and says so', async () => {
    const { records } = opened({ commandTimeoutMs: 20_000 })
    const directory = randomUUID()
    const { directoryRecordsMax, commitChangesMax } = RECORD_LIMITS
    for (let first = 0; first < directoryRecordsMax; first += commitChangesMax) {
      const count = Math.min(commitChangesMax, directoryRecordsMax - first)
      await committing(records, directory, ...Array.from({ length: count }, (_, index) => put(`${first + index}`, '')))
    }
    await expect(committing(records, directory, put('0', 'again'), put('more', ''))).rejects.toMatchObject({
      code: 'HF_REFUSED',
      message: 'PostgreSQL refused: A directory has at most 10000 records; this one would have 10001.',
    })
    const read = await records.read({ directory })
    expect(read.kind === 'present' && [read.records.size, read.records.get('0')?.value.length]).toEqual([10_000, 0])
    const exchange = committing(records, directory, { kind: 'delete', id: '1' }, put('more', ''))
    expect(await exchange).toMatchObject({ kind: 'committed' })
  })

  it('a commit whose 1,024 successors came is known, but not its answer', async () => {
    const { records } = opened()
    const directory = randomUUID()
    const first = { directory, commitId: records.newId(), changes: [put('a', 'first')] }
    await records.commit(first)
    for (let count = 0; count < 1_023; count += 1) await committing(records, directory, put('a', `${count}`))
    await expect(records.commit(first)).rejects.toMatchObject({ code: 'HF_UNKNOWN_OUTCOME' })
    const { rows } = await admin.query(
      `SELECT count(*)::int AS kept FROM ${quoted}.commits JOIN ${quoted}.directories USING (history) WHERE name = $1`,
      [directory],
    )
    expect(rows).toEqual([{ kept: 1_024 }])
  })

  it('versions and owners that nobody was given are only unknown, whatever is in them', async () => {
    const { records } = opened()
    const directory = randomUUID()
    await committing(records, directory, put('a', '1'))
    for (const version of ['', '-', '=', "';--", '\0', '{"a"}', '\uD800']) {
      const change: RecordChange = { kind: 'check', id: 'a', expect: { version } }
      expect(await committing(records, directory, change)).toMatchObject({ kind: 'conflict' })
      expect(await committing(records, directory, { ...change, id: 'b' })).toMatchObject({
        conflicts: [{ id: 'b', expected: { version }, actual: 'absent' }],
      })
      const request = { directory, id: 'a', owner: version, value: bytes(''), ttlMs: undefined }
      expect(await records.beat(request)).toEqual({ kind: 'gone' })
      expect(await records.leave(request)).toBe('lost')
    }
  })

  it('who joins or beats removes those who have gone, a few at a time', async () => {
    const { records } = opened()
    const directory = randomUUID()
    const request = (id: string, ttlMs: number) => ({ directory, id, owner: records.newId(), value: bytes(''), ttlMs })
    await Promise.all(Array.from({ length: 40 }, (_, index) => records.join(request(`${index}`, 60_000))))
    const ofIt = `history = (SELECT history FROM ${quoted}.directories WHERE name = $1)`
    await admin.query(`UPDATE ${quoted}.ephemerals SET ends_at = clock_timestamp() WHERE ${ofIt}`, [directory])
    const kept = async (): Promise<number> => {
      const { rowCount } = await admin.query(`SELECT FROM ${quoted}.ephemerals WHERE ${ofIt}`, [directory])
      return rowCount ?? 0
    }
    const last = request('last', 60_000)
    await records.join(last)
    expect(await kept()).toBe(40 - 16 + 1)
    const isSwept = async (): Promise<number> => {
      expect(await records.beat(last)).toMatchObject({ kind: 'kept' })
      return await kept()
    }
    await expect.poll(isSwept, { interval: 1 }).toBe(1)
  })

  it('a commit that waits for another transaction longer than its caller does not happen behind his back', async () => {
    const { records } = opened({ commandTimeoutMs: 2_000 })
    const directory = randomUUID()
    await committing(records, directory, put('a', '1'))
    const other = await admin.connect()
    await other.query('BEGIN')
    await other.query(`SELECT FROM ${quoted}.directories WHERE name = $1 FOR UPDATE`, [directory])
    await expect(committing(records, directory, put('a', '2'))).rejects.toMatchObject({
      code: expect.stringMatching(/^HF_(UNAVAILABLE|UNKNOWN_OUTCOME)$/) as string,
    })
    await sleep(2_500)
    await other.query('COMMIT')
    other.release()
    expect(await records.read({ directory })).toMatchObject({ revision: { number: 1 } })
  })

  it('works where transactions are serializable by default, and values are shown otherwise', async () => {
    const options = '-c default_transaction_isolation=serializable -c bytea_output=escape -c intervalstyle=sql_standard'
    const stores = [1, 2, 3, 4].map(
      () => opened({ url: `${server.url}?options=${encodeURIComponent(options)}` }).records,
    )
    const directory = randomUUID()
    const all = stores.flatMap((records, store) =>
      Array.from({ length: 10 }, (_, index) => committing(records, directory, put(`${store}.${index}`, '\\x00'))),
    )
    await Promise.all(all)
    const read = await stores[0]?.read({ directory })
    expect(read).toMatchObject({ kind: 'present', revision: { number: 40 } })
    expect(read?.kind === 'present' && read.records.get('3.9')?.value).toEqual(bytes('\\x00'))
  })

  it('a pool that was given may read types as it likes, is used, and is left open', async () => {
    const types = { getTypeParser: () => () => 'nonsense' }
    const pool = new Pool({ connectionString: server.url, max: 2, types: types as never })
    pool.on('error', () => {})
    onTestFinished(() => pool.end())
    const backend = postgresBackend({ pool, schema })
    const directory = randomUUID()
    const heard: (string | undefined)[] = []
    backend.records.listen(directory, {
      changed: commit => heard.push(commit),
      live: () => heard.push('live'),
      down: () => {},
    })
    await expect.poll(() => heard).toEqual(['live'])
    await committing(backend.records, directory, put('a', '1'))
    await expect.poll(() => heard.length).toBe(2)
    expect(await backend.records.read({ directory })).toMatchObject({ kind: 'present', revision: { number: 1 } })
    await backend.close()
    expect(pool.ended).toBe(false)
    expect((await pool.query('SELECT 1')).rowCount).toBe(1)
    expect(pool.totalCount).toBe(pool.idleCount)
  })
})
