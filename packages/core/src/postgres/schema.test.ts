import { createHash, randomUUID } from 'node:crypto'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import { postgresBackend } from './index.ts'
import { FUNCTIONS_REVISION, schemaOf } from './schema.ts'

/** What the functions are in each revision. */
const DIGESTS: ReadonlyMap<number, string> = new Map([[1, '16aa4e185c5ba1e3']])

let server: PostgresServer
let admin: Pool
let schema: string

beforeAll(async () => {
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url, max: 2 })
  admin.on('error', () => {})
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

// A name that would show where one is not quoted, or cut at its bracket.
beforeEach(async () => {
  schema = `of (${randomUUID()})`
  await opened().ready()
})

function opened(role = 'postgres'): Backend {
  const backend = postgresBackend({ url: `postgres://${role}@127.0.0.1:${server.port}/postgres`, schema })
  onTestFinished(() => backend.close())
  return backend
}

async function bodyOf(name: string): Promise<string> {
  const { rows } = await admin.query<{ body: string }>(
    'SELECT p.prosrc AS body FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2',
    [schema, name],
  )
  return rows[0]?.body ?? ''
}

/** Puts other text in the place of the function's mark. */
async function remark(name: string, mark: string): Promise<void> {
  const { rows } = await admin.query<{ definition: string }>(
    'SELECT pg_get_functiondef(p.oid) AS definition FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2',
    [schema, name],
  )
  const definition = rows[0]?.definition ?? ''
  expect(definition).toContain(` -- revision ${FUNCTIONS_REVISION}\n`)
  await admin.query(definition.replace(` -- revision ${FUNCTIONS_REVISION}\n`, () => `${mark}\n-- changed\n`))
}

describe('The functions of a schema', () => {
  it('as they were made before, with no revision or an earlier one, are brought up to date by whoever is ready next', async () => {
    const names = [...schemaOf(schema).functions.keys()]
    for (const [index, name] of names.entries()) await remark(name, index % 2 === 0 ? '' : ' -- revision 0')
    await Promise.all([opened().ready(), opened().ready()])
    for (const name of names) {
      const body = await bodyOf(name)
      expect([name, body.split('\n', 1)]).toEqual([name, [` -- revision ${FUNCTIONS_REVISION}`]])
      expect(body).not.toContain('-- changed')
    }
  })

  it('are made one by one where they are missing, beside those of a later release, which stay', async () => {
    await remark('release_lease_v1', ` -- revision ${FUNCTIONS_REVISION + 1}`)
    await remark('renew_leases_v1', '')
    await admin.query(`DROP FUNCTION "${schema}".acquire_lease_v1`)
    const { leases } = opened()
    const request = {
      resource: 'r',
      requestId: leases.newRequestId(),
      ttlMs: 5_000,
      allowProvisional: false,
      meta: '{}',
    }
    expect(await leases.tryGrant(request)).toMatchObject({ kind: 'granted' })
    const changed = ['release_lease_v1', 'renew_leases_v1'].map(async name =>
      (await bodyOf(name)).includes('-- changed'),
    )
    expect(await Promise.all(changed)).toEqual([true, false])
  })

  it('are left as they are by a role that may not change them, and by one that only reads, and serve both', async () => {
    await admin.query('DROP ROLE IF EXISTS tenant; CREATE ROLE tenant LOGIN')
    await admin.query(`GRANT USAGE, CREATE ON SCHEMA "${schema}" TO tenant`)
    await admin.query(`GRANT SELECT ON ALL TABLES IN SCHEMA "${schema}" TO tenant`)
    await remark('commit_v1', '')
    const tenant = opened('tenant')
    await tenant.ready()
    expect(await tenant.records.read({ directory: 'a' })).toEqual({ kind: 'missing' })
    const url = `${server.url}?options=-c%20default_transaction_read_only%3Don`
    const reader = postgresBackend({ url, schema })
    onTestFinished(() => reader.close())
    await reader.ready()
    expect(await reader.records.read({ directory: 'a' })).toEqual({ kind: 'missing' })
    expect(await bodyOf('commit_v1')).toContain('-- changed')
    await admin.query('DROP OWNED BY tenant; DROP ROLE tenant')
  })

  it('change with a new revision only, which tells schemas that have them as they were', () => {
    const text = [...schemaOf('s').functions.values()].join('\n')
    expect(schemaOf('s').objects).toEqual(expect.arrayContaining([...schemaOf('s').functions.keys()]))
    const digest = createHash('sha256').update(text).digest('hex').slice(0, 16)
    // Where this fails: raise FUNCTIONS_REVISION by one, and add the digest for it here.
    expect(digest).toBe(DIGESTS.get(FUNCTIONS_REVISION))
  })
})
