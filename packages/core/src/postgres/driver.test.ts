import { Pool } from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { InvalidArgumentError } from '../errors.ts'
import { addressOf } from './driver.ts'
import type { PostgresBackendOptions, PostgresGrants } from './index.ts'
import { postgresBackend, postgresGrants } from './index.ts'

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

const url = 'postgres://127.0.0.1:1/postgres'

describe('postgresBackend', () => {
  it.each([
    'postgres://127.0.0.1:5432/postgres',
    'postgresql://user:password@host/orders?sslmode=verify-full',
    'postgres://[::1]/postgres',
    'postgres:///orders?host=/var/run/postgresql',
  ])('takes the address %s, and does not connect', async address => {
    const backend = postgresBackend({ url: address })
    expect(backend.health.current).toEqual({ kind: 'connecting' })
    await backend.close()
  })

  it.each([
    ['', '"…"'],
    ['localhost:5432', '"…"'],
    ['redis://127.0.0.1:6379', '"redis://…"'],
    ['postgres://host:99999', '"postgres://…"'],
    [5, '5'],
    [null, 'null'],
  ])('refuses the address %j at once', (address, shown) => {
    const error = thrownBy(() => postgresBackend({ url: address as string }))
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect(error).toMatchObject({
      argument: 'url',
      message: `Expected \`url\` to be like postgres://user:password@127.0.0.1:5432/database, got ${shown}.`,
    })
  })

  it.each(['http://user:secret@host', 'postgres://user:secret@host:99999/x', 'secret', 'secret:x'])(
    'shows nothing of an address that it refuses but its protocol: %s',
    address => {
      const error = thrownBy(() => postgresBackend({ url: address }))
      expect(error).toBeInstanceOf(InvalidArgumentError)
      expect((error as Error).message).not.toContain('secret')
    },
  )

  it.each([
    [{}, 'url', 'either `url` or `pool`, got neither.'],
    [{ url, pool: {} }, 'url', 'either `url` or `pool`, got both.'],
    [{ pool: {} }, 'pool', 'to be a Pool of pg, got an object.'],
    [{ url, schema: '' }, 'schema', 'a name'],
    [{ url, schema: 'x'.repeat(64) }, 'schema', 'at most 63 bytes'],
    [{ url, schema: 'pg_mine' }, 'schema', 'not to start with pg_'],
    [{ url, claimMs: 199 }, 'claimMs', 'from 200 to 60000'],
    [{ url, commandTimeoutMs: 49 }, 'commandTimeoutMs', 'from 50 to 60000'],
    [{ url, prefix: 'hf' }, 'prefix', 'Unknown option'],
  ])('refuses %j', (options, argument, part) => {
    const error = thrownBy(() => postgresBackend(options as PostgresBackendOptions))
    expect(error).toBeInstanceOf(InvalidArgumentError)
    expect(error).toMatchObject({ argument, message: expect.stringContaining(part) as string })
  })

  it('says in a sentence which package is missing', async () => {
    vi.doMock('pg', () => {
      throw new Error('Cannot find package')
    })
    try {
      await using backend = postgresBackend({ url })
      await expect(backend.records.read({ directory: 'a' })).rejects.toMatchObject({
        code: 'HF_DRIVER',
        message: 'postgresBackend({ url }) needs the package pg (^8): npm install pg',
      })
    } finally {
      vi.doUnmock('pg')
    }
  })
})

describe('addressOf', () => {
  it.each([
    [{ connectionString: 'postgres://user:secret@db.example:6543/x' }, 'db.example:6543'],
    [{ connectionString: 'postgres://user:secret@db.example/x' }, 'db.example:5432'],
    [{ host: 'db.example', port: 7 }, 'db.example:7'],
    [{}, 'localhost:5432'],
  ])('of a pool with %j is %s', (options, address) => {
    expect(addressOf(new Pool(options))).toBe(address)
  })
})

describe('postgresGrants', () => {
  it('quotes names, and has no statement for those who are not there', () => {
    const grants = postgresGrants({ schema: 'my "schema"', readers: ['Shop "reader"'] })
    expect(grants).toEqual([
      'GRANT USAGE ON SCHEMA "my ""schema""" TO "Shop ""reader"""',
      'GRANT SELECT ON "my ""schema""".directories, "my ""schema""".records, "my ""schema""".ephemerals TO "Shop ""reader"""',
    ])
    expect(postgresGrants({})).toEqual([])
  })

  it.each([[{ readers: [''] }], [{ publishers: ['x'.repeat(64)] }], [{ schema: 'pg_x' }]])('refuses %j', grants => {
    expect(thrownBy(() => postgresGrants(grants as PostgresGrants))).toBeInstanceOf(InvalidArgumentError)
  })
})
