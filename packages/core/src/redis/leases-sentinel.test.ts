import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisSentinel } from '@holdfast/scripts/servers'
import { startRedisSentinel } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import { systemClock } from '../clock.ts'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import { kindOf } from '../ports/leases.ts'
import type { HistoryEvent } from '../testing/index.ts'
import { checkHistory, describeViolation } from '../testing/index.ts'
import type { RedisBackendOptions } from './index.ts'
import { redisBackend } from './index.ts'

/** How often it is taken before and after what happens to it. */
const USED_MIN = 15

let watched: RedisSentinel
let admins: readonly Redis[]
let opened: (() => Promise<void> | void)[]
let resource: string

beforeAll(async () => {
  watched = await startRedisSentinel({ args: ['--repl-ping-replica-period', '1'] })
  admins = watched.servers.map(({ url }) => new Redis(url))
  for (const admin of admins) admin.on('error', () => {})
})

afterAll(async () => {
  for (const admin of admins) admin.disconnect()
  await watched.stop()
})

beforeEach(async () => {
  opened = []
  resource = randomUUID()
  await allWell()
})

afterEach(async () => {
  for (const close of opened.reverse()) await close()
})

function opening(options: Pick<RedisBackendOptions, 'commandTimeoutMs' | 'maxClockSkewMs' | 'replicas'> = {}): Backend {
  const sentinels = watched.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = new Redis({ sentinels, name: watched.name, lazyConnect: true })
  const backend = redisBackend({ client, commandTimeoutMs: 30_000, ...options })
  opened.push(() => backend.close())
  return backend
}

/** By its place in `watched.servers`. */
async function master(): Promise<number> {
  const port = await watched.masterPort()
  return watched.servers.findIndex(server => server.port === port)
}

/** Both replicas follow the master that the sentinels name, and the sentinels know them. */
async function allWell(): Promise<void> {
  const look = async (): Promise<string> => {
    const at = await master()
    const said = await Promise.all(admins.map(admin => admin.info('replication').catch(() => '')))
    const well = said.filter((info, index) =>
      index === at ? info.includes('connected_slaves:2') : info.includes('master_link_status:up'),
    )
    return `${well.length} of 3`
  }
  await expect.poll(look, { timeout: 60_000, interval: 100 }).toBe('3 of 3')
}

async function switchOver(): Promise<void> {
  const before = await master()
  const sentinel = new Redis(watched.sentinels[0]?.port ?? 0, '127.0.0.1')
  // Shortly after another one it is refused.
  await expect
    .poll(() => sentinel.call('SENTINEL', 'FAILOVER', watched.name).catch((error: Error) => error.message), {
      timeout: 60_000,
    })
    .toBe('OK')
  sentinel.disconnect()
  await expect.poll(async () => ![before, -1].includes(await master()), { timeout: 60_000 }).toBe(true)
  // Until then it goes on granting.
  await expect.poll(async () => await admins[before]?.info('replication'), { timeout: 60_000 }).toContain('role:slave')
}

/** Takes turns until told to stop, and tells what each believed. */
async function taking(holder: string, history: HistoryEvent[], stop: AbortSignal): Promise<void> {
  const backend = opening()
  while (!stop.aborted) {
    let lease: Lease
    try {
      lease = await acquireLease(backend, resource, { ttlMs: 3_000, signal: stop })
    } catch (error) {
      if (stop.aborted) return
      if ((error as { code?: string }).code !== 'HF_UNAVAILABLE') throw error
      continue
    }
    const acquiredAtMs = systemClock.monotonicMs()
    const token = lease.token.value
    await sleep(5 + Math.random() * 15)
    const validUntilMs = acquiredAtMs + Math.max(0, systemClock.monotonicMs() - acquiredAtMs)
    history.push({ kind: 'hold', resource, holder, token, acquiredAtMs, validUntilMs })
    await lease.release()
  }
}

async function historyOf(during: (used: () => Promise<void>) => Promise<void>): Promise<readonly HistoryEvent[]> {
  const history: HistoryEvent[] = []
  const stop = new AbortController()
  const takers = ['a', 'b', 'c'].map(name => taking(name, history, stop.signal))
  try {
    await during(async () => {
      const before = history.length
      await expect.poll(() => history.length, { timeout: 120_000 }).toBeGreaterThan(before + USED_MIN)
    })
  } finally {
    stop.abort()
    await Promise.all(takers)
  }
  return history
}

function tokenViolations(history: readonly HistoryEvent[]): readonly string[] {
  return checkHistory(history)
    .filter(({ kind }) => kind === 'token-not-greater')
    .map(describeViolation)
}

describe('Leases behind Sentinel', () => {
  it('are advisory: a failover loses what was not sent on yet', async () => {
    const lease = await acquireLease(opening(), resource, {})
    expect(lease.guarantee).toBe('advisory')
    await lease.release()
  })

  it('that were replicated survive kill -9 of the master, with those who wait', async () => {
    const [one, other] = [opening(), opening()]
    const lease = await acquireLease(one, resource, { ttlMs: 150_000 })
    const waiting = acquireLease(other, resource, { ttlMs: 150_000 })
    await expect.poll(async () => (await one.leases.inspect(resource)).waiters.length).toBe(1)
    const at = await master()
    // To wait for what this one wrote is to wait for all that was written before.
    await admins[at]?.set(`written:${resource}`, '')
    await admins[at]?.wait(2, 30_000)
    await watched.servers[at]?.kill()
    await expect.poll(async () => ![at, -1].includes(await master()), { timeout: 60_000 }).toBe(true)
    expect((await other.leases.inspect(resource)).holder?.token.value).toBe(lease.token.value)
    expect(await lease.release()).toBe('released')
    const next = await waiting
    expect(next.token.value).toBeGreaterThan(lease.token.value)
    expect(await next.release()).toBe('released')
    await watched.servers[at]?.restart()
  })

  it('that all replicas acknowledged survive kill -9 of the master right after, in each mode', async () => {
    const backend = opening({ replicas: 2, commandTimeoutMs: 8_000 })
    const modes = [undefined, { kind: 'write' }, { kind: 'permit', limit: 1 }] as const
    const at = await master()
    const leases = await Promise.all(modes.map(mode => acquireLease(backend, resource, { ttlMs: 600_000 }, mode)))
    await watched.servers[at]?.kill()
    await expect.poll(async () => ![at, -1].includes(await master()), { timeout: 60_000 }).toBe(true)
    const other = opening()
    const seen = await Promise.all(modes.map(mode => other.leases.inspect(resource, kindOf(mode))))
    expect(seen.map(({ holder }) => holder?.token.value)).toEqual(leases.map(({ token }) => token.value))
    // One of two replicas is the master now: there are never two again until the old one is back.
    const refused = await acquireLease(backend, randomUUID(), {}).catch((reason: unknown) => reason)
    expect((refused as Error).message).toContain(' of 2 needed replicas')
    await watched.servers[at]?.restart()
    await allWell()
    expect(await Promise.all(leases.map(lease => lease.release()))).toEqual(['released', 'released', 'released'])
  })

  it('have tokens that grow through kill -9 of the master in the middle of use', async () => {
    const history = await historyOf(async used => {
      await used()
      const at = await master()
      await watched.servers[at]?.kill()
      await expect.poll(async () => ![at, -1].includes(await master()), { timeout: 60_000 }).toBe(true)
      await used()
      await watched.servers[at]?.restart()
    })
    expect(tokenViolations(history)).toEqual([])
  })

  it('have tokens that grow through SENTINEL FAILOVER', async () => {
    const history = await historyOf(async used => {
      await used()
      await switchOver()
      await used()
    })
    expect(tokenViolations(history)).toEqual([])
  })

  it('are held back on the new master', async () => {
    const backend = opening({ maxClockSkewMs: 2_000 })
    await (await acquireLease(backend, resource, {})).release()
    const startMs = systemClock.monotonicMs()
    await switchOver()
    await (await acquireLease(backend, resource, {})).release()
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(1_900)
  })
})

describe('A server that is no master any more', () => {
  it('refuses nobody, and is held back once it is one again', async () => {
    const backend = opening({ maxClockSkewMs: 2_000 })
    await (await acquireLease(backend, resource, {})).release()
    const admin = admins[await master()]
    // Behind the back of the sentinels, so that nobody cuts the link.
    await admin?.replicaof('127.0.0.1', 1)
    const acquiring = acquireLease(backend, resource, {})
    await sleep(500)
    const startMs = systemClock.monotonicMs()
    await admin?.replicaof('NO', 'ONE')
    expect(await (await acquiring).release()).toBe('released')
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(1_900)
  })
})
