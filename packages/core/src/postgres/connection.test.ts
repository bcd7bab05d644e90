import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Clock, Timer } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { Commit, RecordStore } from '../ports/records.ts'
import type { FaultProxy } from '../testing/index.ts'
import { createFaultProxy } from '../testing/index.ts'
import type { ConnectionEvent } from './connection.ts'
import { postgresBackend } from './index.ts'

const SECRET = 'pw-in-the-address'
const directory = 'a'
let server: PostgresServer
let admin: Pool

beforeAll(async () => {
  server = await startPostgres({ args: ['-c', 'max_connections=20'] })
  admin = new Pool({ connectionString: server.url, max: 1 })
  admin.on('error', () => {})
})

beforeEach(async () => {
  await using owner = postgresBackend({ url: server.url })
  await owner.ready()
  await admin.query('DELETE FROM holdfast.directories')
})

afterAll(async () => {
  await admin.end()
  await server.stop()
})

async function proxied(): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
  onTestFinished(() => proxy.close())
  return proxy
}

function opened(address: string, commandTimeoutMs = 10_000): Backend {
  const backend = postgresBackend({ url: `postgres://postgres:${SECRET}@${address}/postgres`, commandTimeoutMs })
  onTestFinished(() => backend.close())
  return backend
}

function commitOf(records: RecordStore, value: string): Commit {
  return {
    directory,
    commitId: records.newId(),
    changes: [{ kind: 'put', id: 'x', value: new TextEncoder().encode(value) }],
  }
}

function numberOf(records: RecordStore): Promise<number | undefined> {
  return records.read({ directory }).then(read => (read.kind === 'present' ? read.revision.number : undefined))
}

/** The machine's clock, and the timers that were set on it and have neither fired nor been cancelled. */
function counting(timers: Set<Timer>): Clock {
  return {
    monotonicMs: () => systemClock.monotonicMs(),
    wallMs: () => systemClock.wallMs(),
    setTimer: (run, delayMs, options) => {
      const set = systemClock.setTimer(
        () => {
          timers.delete(timer)
          run()
        },
        delayMs,
        options,
      )
      const timer: Timer = {
        cancel: () => {
          timers.delete(timer)
          set.cancel()
        },
      }
      timers.add(timer)
      return timer
    },
  }
}

/** How many connections of ours the server has. */
async function connections(): Promise<number> {
  const { rowCount } = await admin.query(`SELECT FROM pg_stat_activity WHERE application_name = 'holdfast'`)
  return rowCount ?? 0
}

describe('A command', () => {
  it('whose answer was cut off is sent again, and a commit happens once', async () => {
    const proxy = await proxied()
    const { records } = opened(proxy.connectString)
    await records.commit(commitOf(records, '0'))
    for (let round = 1; round <= 20; round += 1) {
      proxy.cutMidReply(round % 3)
      expect(await records.commit(commitOf(records, `${round}`))).toMatchObject({
        kind: 'committed',
        revision: { number: round + 1 },
      })
    }
    expect(await numberOf(records)).toBe(21)
  })

  it('whose server ends all connections is sent again', async () => {
    const { records } = opened(`127.0.0.1:${server.port}`)
    await records.commit(commitOf(records, '0'))
    const commits = Array.from({ length: 100 }, (_, index) => records.commit(commitOf(records, `${index}`)))
    for (let round = 0; round < 5; round += 1) {
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast'`)
    }
    const outcomes = await Promise.all(commits)
    const numbers = outcomes.map(outcome => (outcome.kind === 'committed' ? outcome.revision.number : 0))
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index + 2))
  })

  it('waits, within its time, while the server has no connection left, and is unavailable after that', async () => {
    const hogs = new Pool({ connectionString: server.url, max: 30 })
    hogs.on('error', () => {})
    const taken = await Promise.allSettled(Array.from({ length: 30 }, () => hogs.connect()))
    const { records } = opened(`127.0.0.1:${server.port}`, 2_000)
    await expect(records.read({ directory })).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
      message: expect.stringMatching(/did not answer within 2000 ms: .*(too many clients|connection slots)/) as string,
    })
    const waiting = opened(`127.0.0.1:${server.port}`).records.read({ directory })
    for (const each of taken) if (each.status === 'fulfilled') each.value.release(true)
    expect(await waiting).toEqual({ kind: 'missing' })
    await hogs.end()
  })

  it('over a silent link ends by its time: a read as unavailable, a commit with an unknown outcome', async () => {
    const proxy = await proxied()
    const backend = opened(proxy.connectString, 2_000)
    const { records } = backend
    const commit = commitOf(records, '1')
    expect(await numberOf(records)).toBeUndefined()
    proxy.blackHole({ direction: 'to-client' })
    const [committed, read] = await Promise.allSettled([records.commit(commit), records.read({ directory })])
    expect(read).toMatchObject({ reason: { code: 'HF_UNAVAILABLE' } })
    expect(committed).toMatchObject({ reason: { code: 'HF_UNKNOWN_OUTCOME', cause: { code: 'HF_UNAVAILABLE' } } })
    expect(backend.health.current.kind).toBe('suspended')
    proxy.heal()
    // The connections that were silent are not used again.
    expect(await records.commit(commit)).toMatchObject({ kind: 'committed', revision: { number: 1 } })
    expect(await numberOf(records)).toBe(1)
    expect(backend.health.current.kind).toBe('ready')
  })

  it('that was never sent is unavailable, a commit as well', async () => {
    const proxy = await proxied()
    const { records } = opened(proxy.connectString, 200)
    proxy.refuse()
    await expect(records.commit(commitOf(records, '1'))).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
    proxy.blackHole()
    await expect(records.commit(commitOf(records, '1'))).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
  })

  it('on a server that is a standby or may not write is unavailable', async () => {
    const { records } = opened(`127.0.0.1:${server.port}`, 2_000)
    await records.commit(commitOf(records, '1'))
    await admin.query('ALTER DATABASE postgres SET default_transaction_read_only = on')
    onTestFinished(
      async () => void (await admin.query('SET transaction_read_only = off; ALTER DATABASE postgres RESET ALL')),
    )
    const other = opened(`127.0.0.1:${server.port}`, 2_000)
    expect(await numberOf(other.records)).toBe(1)
    await expect(other.records.commit(commitOf(records, '2'))).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
      message: expect.stringContaining('read-only transaction') as string,
    })
  })
})

describe('A backend', () => {
  it('tells of its connection, and never of its password', async () => {
    const proxy = await proxied()
    const events: ConnectionEvent[] = []
    const hear = (event: unknown): number => events.push(event as ConnectionEvent)
    subscribe('holdfast:postgres.connection', hear)
    onTestFinished(() => void unsubscribe('holdfast:postgres.connection', hear))
    const backend = opened(proxy.connectString, 2_000)
    await backend.ready()
    proxy.dropConnections()
    await expect.poll(() => events.map(({ event }) => event)).toEqual(['ready', 'lost'])
    expect(backend.health.current.kind).toBe('suspended')
    // By itself, though nobody asks for anything.
    await expect.poll(() => backend.health.current.kind).toBe('ready')
    proxy.hold()
    const error: unknown = await backend.records.read({ directory }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(events.map(({ event }) => event)).toEqual(['ready', 'lost', 'ready', 'silent'])
    expect(events[0]).toMatchObject({ server: proxy.connectString })
    expect(inspect([error, events, backend.health.current], { depth: 12, showHidden: true })).not.toContain(SECRET)
  })

  it('is ready once the server answers, and says within its patience when it does not', async () => {
    const proxy = await proxied()
    const backend = opened(proxy.connectString, 200)
    proxy.refuse()
    const early = backend.ready({ timeoutMs: 60_000 })
    await expect(backend.ready({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
    await early
    expect(backend.health.current).toEqual({ kind: 'ready' })
  })

  it('that is closed leaves no connection, also where the link is silent', async () => {
    const proxy = await proxied()
    const backend = opened(proxy.connectString)
    await Promise.all(Array.from({ length: 20 }, () => backend.records.read({ directory })))
    const ear = { changed: () => {}, live: () => (isLive = true), down: () => {} }
    let isLive = false
    backend.records.listen(directory, ear)
    await expect.poll(() => isLive).toBe(true)
    expect(await connections()).toBe(5)
    await backend.close()
    await expect.poll(connections).toBe(0)
    const timers = new Set<Timer>()
    const silent = postgresBackend({
      url: `postgres://postgres@${proxy.connectString}/postgres`,
      clock: counting(timers),
    })
    await silent.ready()
    silent.records.listen(directory, ear)
    proxy.blackHole()
    const reading = silent.records.read({ directory })
    const [read] = await Promise.allSettled([reading, silent.close()])
    expect(read).toMatchObject({ reason: { code: 'HF_CLOSED' } })
    expect(timers.size).toBe(0)
  })

  it('gives back to a given pool what works, and nothing that is silent', async () => {
    const proxy = await proxied()
    const pool = new Pool({ connectionString: `postgres://postgres@${proxy.connectString}/postgres`, max: 2 })
    pool.on('error', () => {})
    onTestFinished(() => pool.end())
    const backend = postgresBackend({ pool, commandTimeoutMs: 2_000 })
    onTestFinished(() => backend.close())
    await Promise.all([1, 2, 3, 4].map(() => backend.records.read({ directory })))
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([2, 2, 0])
    proxy.blackHole()
    await expect(backend.records.read({ directory })).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    expect(pool.totalCount).toBe(1)
    proxy.heal()
    expect(await backend.records.read({ directory })).toEqual({ kind: 'missing' })
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1])
  })

  it('whose given pool was ended says so', async () => {
    const pool = new Pool({ connectionString: server.url })
    pool.on('error', () => {})
    await using backend = postgresBackend({ pool })
    await backend.ready()
    await pool.end()
    await expect(backend.records.read({ directory })).rejects.toMatchObject({
      code: 'HF_CLOSED',
      message: 'The given PostgreSQL pool is closed.',
    })
  })
})
