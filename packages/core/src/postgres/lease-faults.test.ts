import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import { systemClock } from '../clock.ts'
import { acquireLease } from '../lease/acquire.ts'
import { postgresBackend, postgresFence, postgresGrants } from './index.ts'

let server: PostgresServer
let admin: Pool
let name: string

beforeAll(async () => {
  server = await startPostgres({ args: ['-c', 'fsync=on'] })
  admin = new Pool({ connectionString: server.url, max: 3 })
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

function opened(options: object = {}): Backend {
  const backend = postgresBackend({ url: server.url, ...options })
  onTestFinished(() => backend.close())
  return backend
}

/** Long enough for a program to begin what it holds it for, on a busy machine. */
const TTL_MS = 4_000

/** A process that has reached its first word. It runs until the test ends it. */
async function program(body: string): Promise<ChildProcess> {
  const code = `
    import { acquireLease } from '@holdfast/core'
    import { postgresBackend, postgresFence } from '@holdfast/core/postgres'
    import pg from 'pg'
    const backend = postgresBackend({ url: '${server.url}', claimMs: 60_000 })
    const pool = new pg.Pool({ connectionString: '${server.url}', max: 1 })
    pool.on('error', () => {})
    ${body}
  `
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  await once(createInterface({ input: child.stdout }), 'line')
  return child
}

async function tookMs(work: Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonicMs()
  await work
  return systemClock.monotonicMs() - startMs
}

describe('A lease in PostgreSQL', () => {
  it('outlives a restart of the server: the holder keeps it, and who waits is served by hand-off after it', async () => {
    const [one, other] = [opened(), opened()]
    const held = await acquireLease(one, name, { ttlMs: 120_000 })
    const waiting = acquireLease(other, name, { ttlMs: 120_000 })
    await expect.poll(async () => (await one.leases.inspect(name)).waiters).toHaveLength(1)
    await server.restart()
    await expect
      .poll(() => one.leases.inspect(name).catch(() => undefined))
      .toMatchObject({
        holder: { token: { value: held.token.value } },
      })
    held.assertHeld()
    expect(held.guarantee).toBe('lease')
    await expect.poll(() => other.health.current.kind).toBe('ready')
    expect(await held.release()).toBe('released')
    const next = await waiting
    expect(next.token.value).toBeGreaterThan(held.token.value)
    await next.release()
  })

  it('of a process that was killed goes to the next when its TTL is over, and a killed waiter costs nothing', async () => {
    const holder = await program(`
      await acquireLease(backend, '${name}', { ttlMs: ${TTL_MS} })
      console.log('held')
    `)
    const waiter = await program(`
      acquireLease(backend, '${name}', { ttlMs: 60000 })
      while ((await backend.leases.inspect('${name}')).waiters.length === 0);
      console.log('waits')
    `)
    const backend = opened()
    const waiting = acquireLease(backend, name, {})
    await expect.poll(async () => (await backend.leases.inspect(name)).waiters).toHaveLength(2)
    waiter.kill('SIGKILL')
    holder.kill('SIGKILL')
    // The claim time of the killed waiter would be 60 s.
    expect(await tookMs(waiting)).toBeLessThan(TTL_MS + 30_000)
    await (await waiting).release()
  })

  it.each([
    ['exclusive', 'undefined'],
    ['read-write', `{ kind: 'write' }`],
    ['permits', `{ kind: 'permit', limit: 1 }`],
  ] as const)(
    'of kind %s of a process that was killed among 300 acquires costs the next one its TTL, and leaves nothing',
    async (kind, mode) => {
      const victim = await program(`
      const request = () => ({ resource: '${name}', requestId: backend.leases.newRequestId(), mode: ${mode}, ttlMs: ${TTL_MS},
        allowProvisional: true, meta: '{}' })
      await backend.leases.grant(request())
      for (let count = 0; count < 300; count += 1) backend.leases.grant(request()).catch(() => {})
      console.log('asks')
    `)
      const { leases } = opened()
      // Some wait, and others ask.
      const waiterCount = async (): Promise<number> => (await leases.inspect(name, kind)).waiters.length
      await expect.poll(waiterCount, { interval: 1 }).toBeGreaterThan(50)
      victim.kill('SIGKILL')
      const wish = {
        resource: name,
        requestId: leases.newRequestId(),
        ttlMs: 60_000,
        allowProvisional: true,
        meta: '{}',
      }
      const modes = {
        exclusive: undefined,
        'read-write': { kind: 'write' },
        permits: { kind: 'permit', limit: 1 },
      } as const
      const waiting = leases.grant({ ...wish, mode: modes[kind] })
      expect(await tookMs(waiting)).toBeLessThan(TTL_MS + 30_000)
      expect((await leases.inspect(name, kind)).waiters).toEqual([])
      await leases.release(await waiting)
    },
  )

  it('of a process that was stopped in the middle of its transaction keeps the next one out until its remainder is over', async () => {
    await admin.query('CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, amount integer NOT NULL)')
    await admin.query('INSERT INTO stock VALUES ($1, 10)', [name])
    const ttlMs = 6_000
    const holder = await program(`
      const lease = await acquireLease(backend, '${name}', { ttlMs: ${ttlMs}, renew: false })
      await postgresFence({ pool }).run(lease, async tx => {
        await tx.query("UPDATE stock SET amount = 0 WHERE item = '${name}'")
        console.log('written')
        await new Promise(resolve => setTimeout(resolve, 120000))
      }).catch(error => console.log(error.code))
    `)
    holder.kill('SIGSTOP')
    const backend = opened()
    const fence = postgresFence({ pool: admin, commandTimeoutMs: 60_000 })
    const next = acquireLease(backend, name, { guard: fence })
    // Its program would go on for a minute.
    expect(await tookMs(next)).toBeLessThan(2 * ttlMs + 30_000)
    const lease = await next
    await fence.run(lease, tx => tx.query('UPDATE stock SET amount = amount - 1 WHERE item = $1', [name]))
    const said = once(createInterface({ input: holder.stdout as NonNullable<typeof holder.stdout> }), 'line')
    holder.kill('SIGCONT')
    expect(await said).toEqual(['HF_LEASE_LOST'])
    const { rows } = await admin.query<{ amount: number }>('SELECT amount FROM stock WHERE item = $1', [name])
    expect(rows).toEqual([{ amount: 9 }])
    await lease.release()
  })

  it('is for roles that may hold leases, who may do nothing else; others are refused', async () => {
    for (const role of ['holder', 'stranger']) await admin.query(`CREATE ROLE ${role} LOGIN`)
    for (const statement of postgresGrants({ holders: ['holder'] })) await admin.query(statement)
    const as = (role: string): string => `postgres://${role}@127.0.0.1:${server.port}/postgres`
    const [one, other] = [opened({ url: as('holder') }), opened({ url: as('holder') })]
    const pool = new Pool({ connectionString: as('holder'), max: 2 })
    onTestFinished(() => pool.end())
    const fence = postgresFence({ pool })
    const held = await acquireLease(one, name, { guard: fence })
    const waiting = acquireLease(other, name, { guard: fence })
    await expect.poll(async () => (await one.leases.inspect(name)).waiters).toHaveLength(1)
    await held.release()
    const lease = await waiting
    await fence.run(lease, tx => tx.query('SELECT 1'))
    await lease.release()
    await admin.query(`UPDATE holdfast.leases SET kept_until = now() - interval '1 s' WHERE resource = $1`, [name])
    await (await acquireLease(one, `${name}-2`, {})).release()
    await expect(one.records.read({ directory: 'a' })).rejects.toMatchObject({ code: 'HF_REFUSED' })
    const stranger = opened({ url: as('stranger') })
    await expect(acquireLease(stranger, name, {})).rejects.toMatchObject({ code: 'HF_REFUSED' })
  })

  it('leaves no connection, timer or listener of a backend that was closed', async () => {
    await expect.poll(connections).toBe(0)
    const [one, other] = [opened(), opened()]
    const held = await acquireLease(one, name, {})
    const waiting = acquireLease(other, name, {}).catch((error: unknown) => error)
    await expect.poll(async () => (await one.leases.inspect(name)).waiters).toHaveLength(1)
    expect(await connections()).toBeGreaterThan(2)
    await other.close()
    expect(await waiting).toMatchObject({ code: 'HF_CLOSED' })
    expect((await one.leases.inspect(name)).waiters).toEqual([])
    await one.close()
    await expect.poll(connections).toBe(0)
    expect(await held.release()).toBe('lost')
  })
})

async function connections(): Promise<number> {
  const { rows } = await admin.query<{ count: string }>(
    `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast'`,
  )
  return Number(rows[0]?.count)
}
