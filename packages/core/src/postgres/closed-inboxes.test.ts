import { randomUUID } from 'node:crypto'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { LeaseKind, LeaseMode, LeaseRequest, LeaseStore } from '../ports/leases.ts'
import { SimulatedClock, createFaultProxy } from '../testing/index.ts'
import { holdStatement, watchKeyOf } from './closed-inboxes.ts'
import { postgresBackend } from './index.ts'
import { NoticeFilter } from './notice-filter.fixture.ts'

const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }
const PERMIT: LeaseMode = { kind: 'permit', limit: 1 }
const MODES: readonly (readonly [kind: LeaseKind, mode: LeaseMode | undefined])[] = [
  ['exclusive', undefined],
  ['read-write', WRITE],
  ['permits', PERMIT],
]

let server: PostgresServer
let admin: Pool
let name: string

beforeAll(async () => {
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url, max: 2 })
  // The server may end before the last connection has.
  admin.on('error', () => {})
  await using owner = postgresBackend({ url: server.url })
  await owner.ready()
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

beforeEach(() => {
  name = randomUUID()
})

function opened(port: number = server.port, options: object = {}): LeaseStore {
  const backend = postgresBackend({ url: `postgres://postgres@127.0.0.1:${port}/postgres`, ...options })
  onTestFinished(() => backend.close())
  return backend.leases
}

function request(leases: LeaseStore, mode: LeaseMode | undefined): LeaseRequest {
  const requestId = leases.newRequestId()
  return { resource: name, requestId, mode, ttlMs: 60_000, allowProvisional: true, meta: '{}' }
}

async function queueOf(leases: LeaseStore, kind: LeaseKind): Promise<readonly string[]> {
  return (await leases.inspect(name, kind)).waiters.map(({ requestId }) => requestId)
}

/** Somebody of another process waits, before all that are there, and would claim for a minute. */
async function stranger(requestId: string, mode: LeaseMode | undefined, watch: string | null): Promise<void> {
  const first = (table: string): string => `(SELECT coalesce(min(ticket), 0) - 1 FROM holdfast.${table})`
  if (mode === undefined) {
    await admin.query('UPDATE holdfast.leases SET is_queued = true WHERE resource = $1', [name])
    await admin.query(
      `INSERT INTO holdfast.lease_waiters (resource, request, ttl_ms, claim_ms, meta, watch, ticket)
        VALUES ($1, $2, 60000, 60000, '{}', $3, ${first('lease_waiters')})`,
      [name, requestId, watch],
    )
    return
  }
  const kind = mode.kind === 'permit' ? 'permits' : 'read-write'
  await admin.query(
    `INSERT INTO holdfast.shared_lease_waiters
        (kind, resource, request, mode, capacity, ttl_ms, claim_ms, meta, watch, ticket)
      VALUES ($1, $2, $3, $4, 1, 60000, 60000, '{}', $5, ${first('shared_lease_waiters')})`,
    [kind, name, requestId, mode.kind, watch],
  )
}

describe.each(MODES)('Who waits for a lease of kind %s and is gone', (kind, mode) => {
  it('is passed over by a release, with all of its process, at no cost', async () => {
    const [one, other] = [opened(), opened()]
    const held = await one.grant(request(one, mode))
    const waiting = other.grant(request(other, mode))
    await expect.poll(() => queueOf(one, kind)).toHaveLength(1)
    for (const id of ['dead-2.a', 'dead-1.b', 'dead-1.a']) {
      await stranger(id, mode, watchKeyOf('holdfast', id.slice(0, 6)))
    }
    await one.release(held)
    const grant = await waiting
    expect(await queueOf(one, kind)).toEqual([])
    expect(await other.release(grant)).toBe('released')
  })

  it('is removed by the next one who comes, who is the first then', async () => {
    const [one, other] = [opened(), opened()]
    const held = await one.grant(request(one, mode))
    await stranger('dead-1.a', mode, watchKeyOf('holdfast', 'dead-1'))
    const wish = request(other, mode)
    const waiting = other.grant(wish)
    await expect.poll(() => queueOf(one, kind)).toEqual([wish.requestId])
    await one.release(held)
    await other.release(await waiting)
  })

  it('leaves the lease to nobody when there is nobody else, and to the next one who tries', async () => {
    const [one, other] = [opened(), opened()]
    const held = await one.grant(request(one, mode))
    await stranger('dead-1.a', mode, watchKeyOf('holdfast', 'dead-1'))
    await one.release(held)
    expect(await one.inspect(name, kind)).toMatchObject({ holder: undefined, waiters: [] })
    expect((await other.tryGrant(request(other, mode))).kind).toBe('granted')
  })

  it('is handed the lease when nobody ever watched its inbox, or somebody listens: control', async () => {
    const one = opened()
    const listener = new Client({ connectionString: server.url })
    await listener.connect()
    onTestFinished(() => listener.end())
    const watchKey = watchKeyOf('holdfast', `live ${name}`)
    await listener.query(holdStatement(watchKey))
    for (const watch of [null, watchKey]) {
      const held = await one.grant(request(one, mode))
      await stranger(`${name}.a`, mode, watch)
      await one.release(held)
      const { holders } = await one.inspect(name, kind)
      expect(holders.map(({ requestId }) => requestId)).toEqual([`${name}.a`])
      await one.release({ ...held, request: { ...held.request, requestId: `${name}.a` } })
    }
  })
})

describe('Readers', () => {
  it('who are gone are left out among those who are granted together', async () => {
    const [one, other] = [opened(), opened()]
    const held = await one.grant(request(one, WRITE))
    const waiting = other.grant(request(other, READ))
    await expect.poll(() => queueOf(one, 'read-write')).toHaveLength(1)
    await stranger('dead-1.a', READ, watchKeyOf('holdfast', 'dead-1'))
    await stranger('unknown-1.a', READ, null)
    await one.release(held)
    const grant = await waiting
    const { holders } = await one.inspect(name, 'read-write')
    expect(holders.map(({ requestId }) => requestId).sort()).toEqual([grant.request.requestId, 'unknown-1.a'].sort())
  })

  it('who only try are not kept out by a writer who waits no more', async () => {
    const one = opened()
    await one.grant(request(one, READ))
    await stranger('dead-1.a', WRITE, watchKeyOf('holdfast', 'dead-1'))
    expect((await one.tryGrant(request(one, READ))).kind).toBe('granted')
    await stranger('unknown-1.a', WRITE, null)
    expect((await one.tryGrant(request(one, READ))).kind).toBe('held')
  })
})

describe.each(MODES)('Whether one who waits for a lease of kind %s is there', (kind, mode) => {
  const table = kind === 'exclusive' ? 'lease_waiters' : 'shared_lease_waiters'
  const watched = async (): Promise<readonly boolean[]> => {
    const { rows } = await admin.query<{ watched: boolean }>(
      `SELECT watch IS NOT NULL AS watched FROM holdfast.${table} WHERE resource = $1`,
      [name],
    )
    return rows.map(row => row.watched)
  }

  it('is known from the first wait of a process on, and of one behind a pooler once it hears', async () => {
    const filter = await NoticeFilter.open(server.port)
    onTestFinished(() => filter.close())
    // Time stands still: however slow the machine, the inbox is waited for until it is watched.
    const [one, heard] = [opened(), opened(server.port, { clock: new SimulatedClock() })]
    const held = await one.grant(request(one, mode))
    const first = heard.grant(request(heard, mode))
    const seen: string[] = []
    await expect.poll(async () => seen.push(String(await watched())) && seen.at(-1), { interval: 1 }).toBe('true')
    expect(seen).not.toContain('false')
    filter.isMuffled = true
    const deaf = opened(filter.port)
    const second = deaf.grant(request(deaf, mode))
    await expect.poll(watched).toEqual([true, false])
    filter.isMuffled = false
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity a
        WHERE query LIKE 'LISTEN%' AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory')`,
    )
    await expect.poll(watched).toEqual([true, true])
    await one.release(held)
    await heard.release(await first)
    await deaf.release(await second)
  })

  it('cannot be seen while its connection is cut: others have their turn, and it has its place when it is back', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const [one, other] = [opened(), opened()]
    const cut = opened(proxy.port)
    const held = await one.grant(request(one, mode))
    const wishes = [request(cut, mode), request(other, mode), request(other, mode)] as const
    const [first, second, third] = wishes.map(async (wish, index) => {
      await expect.poll(() => queueOf(one, kind)).toHaveLength(index)
      return await (index === 0 ? cut : other).grant(wish)
    })
    await expect.poll(() => queueOf(one, kind)).toHaveLength(3)
    proxy.refuse()
    proxy.dropConnections()
    await expect.poll(listening).toBe(1)
    await one.release(held)
    const grant = await second
    expect(await queueOf(one, kind)).toEqual([wishes[2].requestId])
    proxy.heal()
    await expect.poll(() => queueOf(one, kind)).toEqual([wishes[0].requestId, wishes[2].requestId])
    await other.release(grant as NonNullable<typeof grant>)
    await cut.release((await first) as NonNullable<typeof grant>)
    await other.release((await third) as NonNullable<typeof grant>)
  })
})

/** How many inboxes the server sees somebody listen to. */
async function listening(): Promise<number> {
  const { rows } = await admin.query<{ count: string }>(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`)
  return Number(rows[0]?.count)
}
