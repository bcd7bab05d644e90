import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Grant, LeaseRequest, LeaseStore } from '../ports/leases.ts'
import { createFaultProxy } from '../testing/index.ts'
import { postgresBackend } from './index.ts'
import { NoticeFilter } from './notice-filter.fixture.ts'

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

function request(leases: LeaseStore, options: Partial<LeaseRequest> = {}): LeaseRequest {
  const requestId = leases.newRequestId()
  return { resource: name, requestId, ttlMs: 60_000, allowProvisional: true, meta: '{}', ...options }
}

async function taken(leases: LeaseStore, options?: Partial<LeaseRequest>): Promise<Grant> {
  const outcome = await leases.tryGrant(request(leases, options))
  if (outcome.kind === 'granted') return outcome.grant
  throw new Error(`"${name}" is held.`)
}

async function queueOf(leases: LeaseStore): Promise<readonly string[]> {
  return (await leases.inspect(name)).waiters.map(({ requestId }) => requestId)
}

describe('Leases in PostgreSQL', () => {
  it('200 times, of two backends that ask at once exactly one is granted, and tokens grow', async () => {
    const [one, other] = [opened().leases, opened().leases]
    let last = 0n
    for (let round = 0; round < 200; round += 1) {
      const outcomes = await Promise.all([one.tryGrant(request(one)), other.tryGrant(request(other))])
      const grants = outcomes.flatMap(outcome => (outcome.kind === 'granted' ? [outcome.grant] : []))
      expect(grants).toHaveLength(1)
      for (const grant of grants) {
        expect(grant.token.value).toBeGreaterThan(last)
        last = grant.token.value
        expect(await (outcomes[0]?.kind === 'granted' ? one : other).release(grant)).toBe('released')
      }
    }
  })

  it('serve 30 waiters of three processes in the order in which they came', async () => {
    const stores = Array.from({ length: 3 }, () => opened().leases)
    const [first] = stores as [LeaseStore]
    const held = await taken(first)
    const served: string[] = []
    const asked: string[] = []
    const done: Promise<unknown>[] = []
    for (let index = 0; index < 30; index += 1) {
      const store = stores[index % 3] as LeaseStore
      const wish = request(store)
      asked.push(wish.requestId)
      const serve = async (grant: Grant): Promise<void> => {
        served.push(wish.requestId)
        await store.release(grant)
      }
      done.push(store.grant(wish).then(serve))
      await expect.poll(() => queueOf(first)).toHaveLength(index + 1)
    }
    await first.release(held)
    await Promise.all(done)
    expect(served).toEqual(asked)
  })

  it('have tokens that grow from the last one, should the clock of the server have been set back', async () => {
    const { leases } = opened()
    await leases.release(await taken(leases))
    const ahead = 10n ** 17n
    await admin.query('UPDATE holdfast.leases SET token = $2 WHERE resource = $1', [name, String(ahead)])
    const next = await taken(leases)
    expect(next.token.value).toBe(ahead + 1n)
    const waiting = leases.grant(request(leases))
    await expect.poll(() => queueOf(leases)).toHaveLength(1)
    await leases.release(next)
    expect((await waiting).token.value).toBe(ahead + 2n)
  })

  it('are renewed 1,000 in a call, and two renewals of one lease are both answered', async () => {
    await using proxy = await createFaultProxy({
      target: { host: '127.0.0.1', port: server.port },
      protocol: 'postgres',
    })
    const { leases } = opened({}, proxy.port)
    const grants = await Promise.all(
      Array.from({ length: 50 }, (_, at) => taken(leases, { resource: `${name}-${at}` })),
    )
    const many = Array.from({ length: 2_500 }, (_, at) => ({ grant: grants[at % 50] as Grant, ttlMs: 60_000 }))
    const before = proxy.requests
    const outcomes = await leases.renew(many)
    expect(proxy.requests - before).toBe(3)
    expect(outcomes.filter(({ kind }) => kind === 'renewed')).toHaveLength(2_500)
  })

  it('that nobody came back to are removed a few at a time, with those who waited for them', async () => {
    const { leases } = opened({ schema: `sweep ${name.slice(0, 8)}` })
    const table = `"sweep ${name.slice(0, 8)}"`
    for (let at = 0; at < 6; at += 1) await taken(leases, { resource: `${name}-${at}` })
    const dead = [`${name}-0`, leases.newRequestId()]
    await admin.query(
      `INSERT INTO ${table}.lease_waiters (resource, request, ttl_ms, claim_ms, meta) VALUES ($1, $2, 9, 9, '{}')`,
      dead,
    )
    await admin.query(
      `UPDATE ${table}.leases SET kept_until = now() - interval '1 s', ends_at = now() - interval '1 h'`,
    )
    const left = async (): Promise<string[]> => {
      const { rows } = await admin.query<{ resource: string }>(`SELECT resource FROM ${table}.leases`)
      return rows.map(({ resource }) => resource)
    }
    await taken(leases)
    expect(await left()).toHaveLength(3)
    await taken(leases, { resource: `${name}-new` })
    expect((await left()).sort()).toEqual([name, `${name}-new`])
    const { rows } = await admin.query(`SELECT FROM ${table}.lease_waiters`)
    expect(rows).toHaveLength(0)
  })

  it('are kept by updates in place: a lease that comes and goes makes no work for its indexes', async () => {
    const { leases } = opened()
    for (let round = 0; round < 20; round += 1) await leases.release(await taken(leases))
    await expect
      .poll(async () => {
        const { rows } = await admin.query<{ hot: string; all: string }>(
          `SELECT n_tup_hot_upd AS hot, n_tup_upd AS all FROM pg_stat_user_tables WHERE schemaname = 'holdfast' AND relname = 'leases'`,
        )
        return Number(rows[0]?.hot) / Number(rows[0]?.all)
      })
      .toBeGreaterThan(0.8)
  })
})

describe('Who waits for a lease in PostgreSQL', () => {
  it('is served though no notice ever comes, as through a pooler, and keeps its place', async () => {
    const filter = await NoticeFilter.open(server.port)
    onTestFinished(() => filter.close())
    filter.isMuffled = true
    const [one, deaf, heard] = [opened().leases, opened({ claimMs: 50_000 }, filter.port).leases, opened().leases]
    const held = await taken(one)
    const first = deaf.grant(request(deaf))
    await expect.poll(() => queueOf(one)).toHaveLength(1)
    const second = heard.grant(request(heard))
    await expect.poll(() => queueOf(one)).toHaveLength(2)
    const startMs = performanceMs()
    await one.release(held)
    const grant = await first
    expect(performanceMs() - startMs).toBeLessThan(25_000)
    expect(grant.deadline.remainingMs()).toBeGreaterThan(30_000)
    await deaf.release(grant)
    await heard.release(await second)
  })

  it('asks nothing for seconds while it hears', async () => {
    await using proxy = await createFaultProxy({
      target: { host: '127.0.0.1', port: server.port },
      protocol: 'postgres',
    })
    const [one, other] = [opened().leases, opened({}, proxy.port).leases]
    const held = await taken(one)
    const waiting = Array.from({ length: 10 }, () => other.grant(request(other)).then(grant => other.release(grant)))
    await expect.poll(() => queueOf(one)).toHaveLength(10)
    await sleep(1_000)
    const before = proxy.requests
    await sleep(3_000)
    expect(proxy.requests - before).toBe(0)
    await one.release(held)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['released']))
  })

  it('is served after its connections were cut, in the middle of an answer as well', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const [one, other] = [opened().leases, opened({}, proxy.port).leases]
    for (let cutAfter = 0; cutAfter < 60; cutAfter += 6) {
      const held = await taken(one)
      const waiting = other.grant(request(other))
      await expect.poll(() => queueOf(one)).toHaveLength(1)
      proxy.dropConnections()
      proxy.cutMidReply(cutAfter)
      await one.release(held)
      expect(await other.release(await waiting)).toMatch(/released|lost/)
      expect(await one.inspect(name)).toMatchObject({ holder: undefined, waiters: [] })
    }
  })

  it('is not handed the lease twice, and leaves nothing, when each answer of it is cut once', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const { leases } = opened({}, proxy.port)
    let last = 0n
    for (let cutAfter = 0; cutAfter < 120; cutAfter += 4) {
      proxy.cutMidReply(cutAfter)
      const grant = await taken(leases)
      expect(grant.token.value).toBeGreaterThan(last)
      last = grant.token.value
      proxy.cutMidReply(cutAfter)
      expect(await leases.renew([{ grant, ttlMs: 60_000 }])).toMatchObject([{ kind: 'renewed' }])
      proxy.cutMidReply(cutAfter)
      await leases.release(grant)
      proxy.heal()
      expect((await leases.inspect(name)).holder).toBeUndefined()
    }
  })

  it('over a link that is silent costs the next one the claim time, and is told that its lease is gone', async () => {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
    const claimMs = 1_000
    const [one, silent, next] = [opened(), opened({ claimMs }, proxy.port), opened({ claimMs })].map(b => b.leases) as [
      LeaseStore,
      LeaseStore,
      LeaseStore,
    ]
    const held = await taken(one)
    const abort = new AbortController()
    const never = silent.grant(request(silent), abort.signal).catch((error: unknown) => error)
    await expect.poll(() => queueOf(one)).toHaveLength(1)
    const waiting = next.grant(request(next))
    await expect.poll(() => queueOf(one)).toHaveLength(2)
    proxy.hold()
    const startMs = performanceMs()
    await one.release(held)
    const grant = await waiting
    const tookMs = performanceMs() - startMs
    expect(tookMs).toBeGreaterThan(claimMs - 20)
    // Its own time would be over in a minute.
    expect(tookMs).toBeLessThan(claimMs + 30_000)
    abort.abort(new Error('enough'))
    expect(await never).toMatchObject({ message: 'enough' })
    proxy.heal()
    await next.release(grant)
  })
})

function performanceMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}
