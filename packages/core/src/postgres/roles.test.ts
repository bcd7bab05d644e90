import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Commit, RecordStore } from '../ports/records.ts'
import { postgresBackend, postgresGrants } from './index.ts'

const PASSWORD = 'pw-of-a-role'
let server: PostgresServer
let admin: Pool
let commit: Commit

beforeAll(async () => {
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url, max: 1 })
  // The server may end before the last connection has.
  admin.on('error', () => {})
  for (const role of ['reader', 'instance', 'publisher', 'stranger']) {
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
  }
  // As a service's pipeline would: the one who may makes the tables, then gives the others what they need.
  await using owner = postgresBackend({ url: server.url })
  await owner.ready()
  const grants = { readers: ['reader'], instances: ['instance'], publishers: ['publisher'] }
  for (const statement of postgresGrants(grants)) await admin.query(statement)
  commit = { directory: 'a', commitId: owner.records.newId(), changes: [{ kind: 'put', id: 'x', value: bytes('1') }] }
  await owner.records.commit(commit)
  // From here on passwords are asked for.
  await admin.query(`COPY (SELECT 'host all postgres 127.0.0.1/32 trust' UNION ALL SELECT 'host all all 127.0.0.1/32 scram-sha-256')
    TO '${server.dataDir}/store/pg_hba.conf'`)
  await admin.query('SELECT pg_reload_conf()')
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function as(role: string, { password = PASSWORD, schema = 'holdfast' } = {}): Backend {
  const backend = postgresBackend({ url: `postgres://${role}:${password}@127.0.0.1:${server.port}/postgres`, schema })
  onTestFinished(() => backend.close())
  return backend
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'HF_REFUSED' })
  return (error as Error).message
}

function request(records: RecordStore) {
  return { directory: 'a', id: 'me', owner: records.newId(), value: bytes('here'), ttlMs: 5_000 }
}

async function revisionNow(): Promise<number | undefined> {
  const read = await as('reader').records.read({ directory: 'a' })
  return read.kind === 'present' ? read.revision.number : undefined
}

describe('A reader', () => {
  it('reads and follows, and his commit is refused and changes nothing', async () => {
    const { records } = as('reader')
    const before = await revisionNow()
    const heard: (string | undefined)[] = []
    const subscription = records.listen('a', {
      changed: id => heard.push(id),
      live: () => heard.push('live'),
      down: () => {},
    })
    await expect.poll(() => heard).toEqual(['live'])
    const again = { ...commit, commitId: records.newId() }
    expect(await refusalOf(records.commit(again))).toBe('PostgreSQL refused: permission denied for table directories.')
    await refusalOf(records.commit({ ...again, directory: 'new' }))
    await refusalOf(records.commit({ ...again, changes: [{ kind: 'delete', id: 'x' }] }))
    expect(await revisionNow()).toBe(before)
    expect(await records.read({ directory: 'new' })).toEqual({ kind: 'missing' })
    await as('publisher').records.commit({ ...again, changes: [{ kind: 'put', id: 'y', value: bytes('2') }] })
    await expect.poll(() => heard).toEqual(['live', again.commitId])
    expect(await records.read({ directory: 'a', ephemerals: true })).toMatchObject({ kind: 'present' })
    subscription.close()
  })

  it('cannot write to the tables in any other way either', async () => {
    const pool = new Pool({
      connectionString: `postgres://reader:${PASSWORD}@127.0.0.1:${server.port}/postgres`,
      max: 1,
    })
    pool.on('error', () => {})
    onTestFinished(() => pool.end())
    for (const statement of [
      `UPDATE holdfast.directories SET number = 99`,
      `INSERT INTO holdfast.directories (name, history) VALUES ('b', 'b')`,
      `DELETE FROM holdfast.records`,
      `INSERT INTO holdfast.ephemerals SELECT history, 'e', 'e', '', now(), now() FROM holdfast.directories`,
      `TRUNCATE holdfast.commits`,
      `CREATE TABLE holdfast.mine (x int)`,
    ]) {
      await expect(pool.query(statement)).rejects.toMatchObject({ code: '42501' })
    }
  })

  it('may not announce himself', async () => {
    const { records } = as('reader')
    expect(await refusalOf(records.join(request(records)))).toContain('permission denied')
    expect(await refusalOf(records.beat(request(records)))).toContain('permission denied')
    expect(await refusalOf(records.leave(request(records)))).toContain('permission denied')
  })
})

describe('An instance', () => {
  it('announces itself, also in a directory that is not there yet, and may not commit', async () => {
    const { records } = as('instance')
    for (const directory of ['a', 'of-instances-only']) {
      const me = { ...request(records), directory }
      await records.join(me)
      expect(await records.beat(me, bytes('there'))).toMatchObject({ kind: 'kept' })
      const read = await as('reader').records.read({ directory, ephemerals: true })
      expect(read.kind === 'present' && [...read.ephemerals.keys()]).toEqual(['me'])
      expect(await records.leave(me)).toBe('left')
    }
    const before = await revisionNow()
    await refusalOf(records.commit({ ...commit, commitId: records.newId() }))
    expect(await revisionNow()).toBe(before)
  })
})

describe('A publisher', () => {
  it('commits, to a new directory as well, and may not announce himself', async () => {
    const { records } = as('publisher')
    for (const directory of ['a', 'of-publisher']) {
      const outcome = await records.commit({ ...commit, directory, commitId: records.newId() })
      expect(outcome).toMatchObject({ kind: 'committed' })
      const removed = await records.commit({
        directory,
        commitId: records.newId(),
        changes: [{ kind: 'delete', id: 'x' }],
      })
      expect(removed).toMatchObject({ kind: 'committed' })
    }
    await refusalOf(records.join(request(records)))
  })
})

describe('A role without any rights', () => {
  it('is refused at once', async () => {
    const { records } = as('stranger')
    expect(await refusalOf(records.read({ directory: 'a' }))).toBe(
      'PostgreSQL refused: permission denied for schema holdfast.',
    )
  })

  it('is told in one sentence what is missing where there are no tables, and by whose lack', async () => {
    const backend = as('stranger', { schema: 'nowhere' })
    const message = await refusalOf(backend.records.read({ directory: 'a' }))
    expect(message).toMatch(
      /^PostgreSQL has no directories, records, .* in the schema "nowhere", and the role "stranger" may not create them: connect once with a role that may\.$/,
    )
    expect(await refusalOf(backend.ready())).toBe(message)
    await admin.query('CREATE SCHEMA nowhere AUTHORIZATION stranger')
    expect(await backend.records.read({ directory: 'a' })).toEqual({ kind: 'missing' })
    expect(await backend.records.commit(commit)).toMatchObject({ kind: 'committed' })
  })

  it('with a wrong password is told what the server said, and nobody is told the password', async () => {
    const backend = as('reader', { password: 'not-the-password' })
    const error: unknown = await backend.records.read({ directory: 'a' }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'HF_REFUSED',
      message: 'PostgreSQL refused: password authentication failed for user "reader".',
    })
    const { inspect } = await import('node:util')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('not-the-password')
    const none = postgresBackend({ url: `postgres://reader@127.0.0.1:${server.port}/postgres` })
    onTestFinished(() => none.close())
    expect(await refusalOf(none.records.read({ directory: 'a' }))).toContain('password must be a string')
  })
})
