import { randomUUID } from 'node:crypto'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Grant, LeaseKind, LeaseMode, LeaseRequest, LeaseStore } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import { createFaultProxy } from '../testing/index.ts'
import { postgresBackend, postgresGrants } from './index.ts'
import { SHARED_LEASE_FUNCTIONS } from './shared-lease-functions.ts'

const READ: LeaseMode = { kind: 'read' }
const WRITE: LeaseMode = { kind: 'write' }

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

function opened(options: object = {}, port: number = server.port): Backend {
  const backend = postgresBackend({ url: `postgres://postgres@127.0.0.1:${port}/postgres`, ...options })
  onTestFinished(() => backend.close())
  return backend
}

function request(leases: LeaseStore, mode: LeaseMode | undefined, options: Partial<LeaseRequest> = {}): LeaseRequest {
  const requestId = leases.newRequestId()
  return { resource: name, requestId, mode, ttlMs: 60_000, allowProvisional: true, meta: '{}', ...options }
}

async function taken(leases: LeaseStore, mode: LeaseMode, options?: Partial<LeaseRequest>): Promise<Grant> {
  const outcome = await leases.tryGrant(request(leases, mode, options))
  if (outcome.kind === 'granted') return outcome.grant
  throw new Error(`"${name}" is held.`)
}

function waiterCount(leases: LeaseStore, kind: LeaseKind = 'read-write'): () => Promise<number> {
  return async () => (await leases.inspect(name, kind)).waiters.length
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

describe('Shared leases in PostgreSQL', () => {
  it('keep writers alone and permits below their limit while three processes contend for 400 turns', async () => {
    const stores = Array.from({ length: 3 }, () => opened().leases)
    const inside = new Set<Grant>()
    const writers: bigint[] = []
    const readersRight: boolean[] = []
    let seenTogether = 0
    const use = async (store: LeaseStore, mode: LeaseMode): Promise<void> => {
      const grant = await store.grant(request(store, mode))
      const beside = [...inside].filter(({ request: other }) => kindOf(other.mode) === kindOf(mode))
      // Alone, or beside other readers, or on a slot of one's own.
      const mayBeside = ({ slot, request: other }: Grant): boolean =>
        mode.kind === 'permit' ? slot !== grant.slot : mode.kind === 'read' && other.mode?.kind === 'read'
      expect(beside.every(mayBeside)).toBe(true)
      expect(beside.length).toBeLessThan(mode.kind === 'permit' ? mode.limit : 24)
      seenTogether = Math.max(seenTogether, beside.length)
      if (mode.kind === 'write') writers.push(grant.token.value)
      // A reader's is that of the last writer: this process has seen them all.
      readersRight.push(mode.kind !== 'read' || writers.length === 0 || grant.token.value === writers.at(-1))
      inside.add(grant)
      await turn()
      inside.delete(grant)
      expect(await store.release(grant)).toBe('released')
    }
    const modes: readonly LeaseMode[] = [READ, WRITE, { kind: 'permit', limit: 3 }, READ]
    const turns = Array.from({ length: 8 }, async (_, at) => {
      for (let round = 0; round < 50; round += 1) {
        await use(stores[(at + round) % 3] as LeaseStore, modes[(at * 3 + round) % 4] as LeaseMode)
      }
    })
    await Promise.all(turns)
    expect(seenTogether).toBeGreaterThan(0)
    expect(readersRight).not.toContain(false)
    expect(writers).toHaveLength(new Set(writers).size)
    expect(writers).toEqual([...writers].sort((a, b) => (a < b ? -1 : 1)))
  })

  it('have nothing to do with another lock of the same name', async () => {
    const { leases } = opened()
    const grants = [await taken(leases, WRITE), await taken(leases, { kind: 'permit', limit: 1 })]
    const alone = await leases.tryGrant(request(leases, undefined))
    expect(alone.kind).toBe('granted')
    if (alone.kind === 'granted') grants.push(alone.grant)
    for (const kind of ['read-write', 'permits', 'exclusive'] as const) {
      expect((await leases.inspect(name, kind)).holders).toHaveLength(1)
    }
    const renewed = await leases.renew([...grants, ...grants].map(grant => ({ grant, ttlMs: 60_000 })))
    expect(renewed.map(({ kind }) => kind)).toEqual(Array.from({ length: 6 }, () => 'renewed'))
    await leases.release(grants[1] as Grant)
    const again = await leases.renew(grants.map(grant => ({ grant, ttlMs: 60_000 })))
    expect(again.map(({ kind }) => kind)).toEqual(['renewed', 'lost', 'renewed'])
  })

  it('are renewed in one request for each lock and thousand', async () => {
    await using proxy = await createFaultProxy({
      target: { host: '127.0.0.1', port: server.port },
      protocol: 'postgres',
    })
    const { leases } = opened({}, proxy.port)
    const readers = await Promise.all(Array.from({ length: 40 }, () => taken(leases, READ)))
    const permits = await Promise.all(Array.from({ length: 10 }, () => taken(leases, { kind: 'permit', limit: 10 })))
    expect(new Set(permits.map(({ slot }) => slot))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    const before = proxy.requests
    const many = [...readers, ...permits]
    const outcomes = await leases.renew(
      Array.from({ length: 2_500 }, (_, at) => ({ grant: many[at % 50] as Grant, ttlMs: 60_000 })),
    )
    // 2,000 of readers, and 500 of permits.
    expect(proxy.requests - before).toBe(3)
    expect(outcomes.filter(({ kind }) => kind === 'renewed')).toHaveLength(2_500)
  })

  it('wake a writer when the last of those in its way ends, though one that would have lasted longer has left since', async () => {
    const { leases } = opened()
    const long = await taken(leases, READ, { ttlMs: 60_000 })
    // Nobody renews or releases it: its process is dead.
    await taken(leases, READ, { ttlMs: 5_000 })
    const waiting = leases.grant(request(leases, WRITE))
    await expect.poll(waiterCount(leases)).toBe(1)
    expect(await leases.release(long)).toBe('released')
    // In time, or it would have trusted for more than 10 s that there is no news.
    await leases.release(await waiting)
  })

  it('are handed to all readers who wait next to each other, though nobody releases and only one asks', async () => {
    const [one, other] = [opened().leases, opened().leases]
    await taken(one, WRITE, { ttlMs: 5_000 })
    const readers = Array.from({ length: 20 }, (_, at) => {
      const store = at % 2 === 0 ? one : other
      return store.grant(request(store, READ)).then(grant => ({ store, grant }))
    })
    await expect.poll(waiterCount(one)).toBe(20)
    const granted = await Promise.all(readers)
    expect(new Set(granted.map(({ grant }) => grant.token.value)).size).toBe(1)
    expect((await one.inspect(name, 'read-write')).holders).toHaveLength(20)
    for (const { store, grant } of granted) expect(await store.release(grant)).toBe('released')
  })

  it('have tokens that grow from the last one, should the clock of the server have been set back', async () => {
    const { leases } = opened()
    await leases.release(await taken(leases, WRITE))
    const ahead = 10n ** 17n
    await admin.query('UPDATE holdfast.shared_leases SET token = $2 WHERE resource = $1', [name, String(ahead)])
    const reader = await taken(leases, READ)
    expect(reader.token.value).toBe(ahead)
    await leases.release(reader)
    const writer = await taken(leases, WRITE)
    expect(writer.token.value).toBe(ahead + 1n)
    const waiting = leases.grant(request(leases, WRITE))
    await expect.poll(waiterCount(leases)).toBe(1)
    await leases.release(writer)
    expect((await waiting).token.value).toBe(ahead + 2n)
  })

  it('become a reader and nothing more when the answer of that was cut and it is asked again', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const { leases } = opened({}, proxy.port)
    for (let cutAfter = 0; cutAfter < 120; cutAfter += 8) {
      const writer = await taken(leases, WRITE)
      const to = request(leases, READ)
      proxy.cutMidReply(cutAfter)
      const reader = await leases.downgrade(writer, to)
      proxy.heal()
      expect(reader?.token.value).toBe(writer.token.value)
      expect((await leases.inspect(name, 'read-write')).holders.map(({ requestId }) => requestId)).toEqual([
        to.requestId,
      ])
      expect(await leases.release(writer)).toBe('lost')
      expect(await leases.release(reader as Grant)).toBe('released')
    }
  })

  it('that nobody came back to are removed a few at a time, with those who held and waited', async () => {
    const schema = `sweep ${name.slice(0, 8)}`
    const { leases } = opened({ schema })
    for (let at = 0; at < 6; at += 1) await taken(leases, READ, { resource: `${name}-${at}` })
    await admin.query(
      `INSERT INTO "${schema}".shared_lease_waiters (kind, resource, request, mode, capacity, ttl_ms, claim_ms, meta)
        VALUES ('read-write', $1, 'dead', 'write', 1, 9, 9, '{}')`,
      [`${name}-0`],
    )
    await admin.query(`UPDATE "${schema}".shared_leases SET kept_until = now() - interval '1 s'`)
    const count = async (table: string): Promise<number> => {
      const { rows } = await admin.query<{ count: number }>(`SELECT count(*)::int FROM "${schema}".${table}`)
      return rows[0]?.count ?? 0
    }
    await taken(leases, READ)
    expect(await count('shared_leases')).toBe(3)
    await taken(leases, { kind: 'permit', limit: 1 })
    expect(await count('shared_leases')).toBe(2)
    expect(await count('shared_lease_holders')).toBe(2)
    expect(await count('shared_lease_waiters')).toBe(0)
  })

  it('that are held are not removed, however long ago they were granted: a renewal keeps them', async () => {
    const { leases } = opened()
    const grant = await taken(leases, READ)
    await admin.query(`UPDATE holdfast.shared_leases SET kept_until = now() - interval '1 s' WHERE resource = $1`, [
      name,
    ])
    expect(await leases.renew([{ grant, ttlMs: 60_000 }])).toMatchObject([{ kind: 'renewed' }])
    await taken(leases, READ, { resource: `${name}-other` })
    expect((await leases.inspect(name, 'read-write')).holders).toHaveLength(1)
  })

  it('come to a schema that was made before there were any, and what is held there stays held', async () => {
    const schema = `old ${name.slice(0, 8)}`
    const before = opened({ schema })
    const held = await before.leases.tryGrant(request(before.leases, undefined))
    await admin.query(
      `DROP TABLE "${schema}".shared_leases, "${schema}".shared_lease_holders, "${schema}".shared_lease_waiters`,
    )
    for (const called of SHARED_LEASE_FUNCTIONS) await admin.query(`DROP FUNCTION "${schema}".${called}`)
    const { leases } = opened({ schema })
    const grant = await taken(leases, WRITE)
    expect(await leases.tryGrant(request(leases, READ))).toEqual({ kind: 'held' })
    expect(await leases.tryGrant(request(leases, undefined))).toEqual({ kind: 'held' })
    expect(held.kind === 'granted' && (await before.leases.release(held.grant))).toBe('released')
    expect(await leases.release(grant)).toBe('released')
  })

  it('need no more rights than those of a holder, and are refused to all others', async () => {
    for (const role of ['sharer', 'onlooker']) await admin.query(`CREATE ROLE ${role} LOGIN`)
    for (const statement of postgresGrants({ holders: ['sharer'], limiters: ['onlooker'] })) {
      await admin.query(statement)
    }
    const as = (role: string): LeaseStore =>
      opened({ url: `postgres://${role}@127.0.0.1:${server.port}/postgres` }).leases
    const leases = as('sharer')
    const writer = await taken(leases, WRITE)
    const waiting = leases.grant(request(leases, READ))
    await expect.poll(waiterCount(leases)).toBe(1)
    const reader = await leases.downgrade(writer, request(leases, READ))
    expect(await leases.renew([{ grant: await waiting, ttlMs: 60_000 }])).toMatchObject([{ kind: 'renewed' }])
    expect(await leases.release(reader as Grant)).toBe('released')
    const swept = async (): Promise<number> => {
      await admin.query(`UPDATE holdfast.shared_leases SET kept_until = now() - interval '1 s' WHERE resource = $1`, [
        name,
      ])
      await taken(leases, { kind: 'permit', limit: 2 }, { resource: randomUUID() })
      return (await leases.inspect(name, 'read-write')).holders.length
    }
    // A question of the one who waited, once its inbox was open, can be under way, and keeps the row.
    await expect.poll(swept).toBe(0)
    const refused = as('onlooker')
    await expect(refused.tryGrant(request(refused, READ))).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(refused.inspect(name, 'permits')).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })
})
