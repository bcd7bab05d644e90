import { randomUUID } from 'node:crypto'
import type { RedisOptions as ServerOptions } from '@holdfast/scripts/servers'
import { startRedis } from '@holdfast/scripts/servers'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../backend.ts'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { UnsupportedError } from '../errors.ts'
import { acquireLease } from '../lease/acquire.ts'
import { SimulatedClock } from '../testing/index.ts'
import { redisBackend } from './index.ts'
import { examine } from './server.ts'

let opened: (() => Promise<void> | void)[]

beforeEach(() => {
  opened = []
})

afterEach(async () => {
  // The last one first: a backend has nothing to give back to a server that is gone.
  for (const close of opened.reverse()) await close()
})

async function started(options: ServerOptions = {}): ReturnType<typeof startRedis> {
  const server = await startRedis(options)
  opened.push(() => server.stop())
  return server
}

function opening(url: string, maxClockSkewMs = 0, clock?: Clock): Backend {
  const backend = redisBackend({
    url,
    maxClockSkewMs,
    commandTimeoutMs: 60_000,
    ...(clock === undefined ? {} : { clock }),
  })
  opened.push(() => backend.close())
  return backend
}

function adminOf(url: string): Redis {
  const admin = new Redis(url)
  admin.on('error', () => {})
  opened.push(() => admin.disconnect())
  return admin
}

/** Granted by a clock by which no time passes, in which anything could be held back. */
async function grantedAtOnce(url: string, maxClockSkewMs: number): Promise<boolean> {
  const backend = opening(url, maxClockSkewMs, new SimulatedClock())
  const lease = await acquireLease(backend, randomUUID(), {})
  const isHeld = lease.remainingMs() > 0
  await lease.release()
  await backend.close()
  return isHeld
}

async function msToGrant(backend: Backend): Promise<number> {
  const startMs = systemClock.monotonicMs()
  await acquireLease(backend, randomUUID(), {})
  return systemClock.monotonicMs() - startMs
}

describe('The guarantee of a server', () => {
  const durable = ['--maxmemory-policy', 'noeviction']
  const cases: readonly (readonly [string, 'advisory' | 'lease', ServerOptions])[] = [
    ['that keeps nothing on disk', 'advisory', {}],
    ['that writes to disk every second', 'advisory', { appendonly: 'everysec', args: durable }],
    ['that writes every change to disk', 'lease', { appendonly: 'always', args: durable }],
    [
      'that writes every change but while it rewrites its file',
      'advisory',
      { appendonly: 'always', args: [...durable, '--no-appendfsync-on-rewrite', 'yes'] },
    ],
    ['that may evict', 'advisory', { appendonly: 'always', args: ['--maxmemory-policy', 'allkeys-lru'] }],
  ]

  it.each(cases)('%s is %s', async (_what, guarantee, options) => {
    const backend = opening((await started(options)).url)
    const lease = await acquireLease(backend, 'r', {})
    expect([backend.leases.guarantee, lease.guarantee]).toEqual([guarantee, guarantee])
  })

  it('is advisory before anything is known of it', () => {
    expect(opening('redis://127.0.0.1:1').leases.guarantee).toBe('advisory')
  })

  it('with a replica is advisory: a failover loses what was not sent on yet', async () => {
    const main = await started({ appendonly: 'always' })
    const replica = await started({ args: ['--replicaof', '127.0.0.1', String(main.port)] })
    const admin = adminOf(main.url)
    await expect.poll(() => admin.info('replication')).toContain('connected_slaves:1')
    expect((await acquireLease(opening(main.url), 'r', {})).guarantee).toBe('advisory')
    await replica.stop()
  })

  it('behind sentinels is advisory, though no replica is there just now: they may choose one that comes back', async () => {
    const client = new FakeClient()
    expect((await examined(client)).guarantee).toBe('lease')
    client.options = { sentinels: [{ host: '10.0.0.1', port: 26_379 }] }
    expect((await examined(client)).guarantee).toBe('advisory')
  })

  it('of one that nobody may ask is advisory, and it works', async () => {
    const { url } = await started({ appendonly: 'always' })
    await adminOf(url).acl('SETUSER', 'shy', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config')
    const withUser = new URL(url)
    withUser.username = 'shy'
    withUser.password = 'secret'
    const lease = await acquireLease(opening(withUser.href, 500), 'r', {})
    expect(lease.guarantee).toBe('advisory')
  })
})

describe('Grants of a server that was replaced', () => {
  it('are held back until the clocks cannot differ by more, and for the next client no longer than that', async () => {
    const server = await started({ appendonly: 'always' })
    expect(await msToGrant(opening(server.url, 2_000))).toBeGreaterThan(1_990)
    expect(await grantedAtOnce(server.url, 2_000)).toBe(true)
    await server.restart()
    expect(await msToGrant(opening(server.url, 2_000))).toBeGreaterThan(1_900)
  })

  it('are held back for a client that had been connected all the time', async () => {
    const server = await started({ appendonly: 'always' })
    const backend = opening(server.url, 1_500)
    await msToGrant(backend)
    await server.restart()
    const startMs = systemClock.monotonicMs()
    await msToGrant(backend)
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(1_400)
  })

  it('are held back when it was a replica in between, though the link of a given client stayed', async () => {
    const server = await started()
    const backend = redisBackend({ client: adminOf(server.url), maxClockSkewMs: 1_500, commandTimeoutMs: 60_000 })
    opened.push(() => backend.close())
    await msToGrant(backend)
    const admin = adminOf(server.url)
    await admin.replicaof('127.0.0.1', 1)
    const granting = msToGrant(backend)
    await new Promise(resolve => setTimeout(resolve, 300))
    const startMs = systemClock.monotonicMs()
    await admin.replicaof('NO', 'ONE')
    await granting
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(1_400)
  })

  it('are not held back after its data was lost: its clock is the same', async () => {
    const server = await started()
    const admin = adminOf(server.url)
    await expect
      .poll(async () => Number(/uptime_in_seconds:(\d+)/.exec(await admin.info('server'))?.[1]))
      .toBeGreaterThanOrEqual(3)
    await admin.flushall()
    expect(await grantedAtOnce(server.url, 1_000)).toBe(true)
  })

  it('are not held back when clocks are trusted', async () => {
    expect(await grantedAtOnce((await started()).url, 0)).toBe(true)
  })
})

/** A client of a server that says what a test wants. */
class FakeClient {
  options: { readonly sentinels?: readonly unknown[] } = {}
  info = async (): Promise<string> =>
    ['# Server', 'redis_version:7.4.1', 'run_id:abc', 'uptime_in_seconds:1000', '# Replication', 'role:master']
      .concat(['connected_slaves:0', 'master_replid:def', `master_replid2:${'0'.repeat(40)}`, ''])
      .join('\r\n')
  readonly settings = new Map([
    ['appendonly', 'yes'],
    ['appendfsync', 'always'],
    ['no-appendfsync-on-rewrite', 'no'],
    ['maxmemory-policy', 'noeviction'],
  ])
  config = async (_get: string, name: string): Promise<string[]> => [name, this.settings.get(name) ?? '']
  readonly told: unknown[] = []
  eval = async (...args: unknown[]): Promise<number> => {
    this.told.push(...args.slice(2))
    return 250_000
  }

  change(from: string | RegExp, to: string): void {
    const { info } = this
    this.info = async () => (await info()).replace(from, to)
  }
}

function examined(client: FakeClient, maxClockSkewMs = 1_000): ReturnType<typeof examine> {
  return examine(client as unknown as Redis, { markerKey: 'hf:server', maxClockSkewMs })
}

function replyError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' })
}

describe('examine', () => {
  it('holds back for what is left of the skew, since the server is known', async () => {
    const client = new FakeClient()
    expect(await examined(client)).toEqual({ guarantee: 'lease', holdBackMs: 750, replicas: 0 })
    expect(client.told).toEqual(['hf:server', 'abc:def', '1'])
  })

  it.each([
    ['was a replica before', /master_replid2:0+/, 'master_replid2:ffff'],
    ['has not been up for longer than the skew', 'uptime_in_seconds:1000', 'uptime_in_seconds:2'],
  ])('does not take a server for proven that %s', async (_what, from, to) => {
    const client = new FakeClient()
    client.change(from, to)
    await examined(client)
    expect(client.told.at(-1)).toBe('0')
  })

  it.each(['6.2.14', '5.0.7', '6.255.255'])('refuses version %s, and says what is needed', async version => {
    const client = new FakeClient()
    client.change('7.4.1', version)
    const error = await examined(client).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(UnsupportedError)
    expect(error).toMatchObject({ message: `Holdfast needs Redis 7.0 or later, and the server is ${version}.` })
  })

  it.each(['7.0.0', '8.2.1', '10.0.0'])('takes version %s', async version => {
    const client = new FakeClient()
    client.change('7.4.1', version)
    expect((await examined(client)).guarantee).toBe('lease')
  })

  it('calls the guarantee of one with replicas advisory', async () => {
    const client = new FakeClient()
    client.change('connected_slaves:0', 'connected_slaves:1')
    expect((await examined(client)).guarantee).toBe('advisory')
  })

  it('does not know a replica, also where nothing has to be written: it is to be asked again', async () => {
    const client = new FakeClient()
    client.change('role:master', 'role:slave')
    await expect(examined(client)).rejects.toThrow('READONLY')
    expect(client.told).toEqual([])
  })

  it('calls it advisory, and holds nothing back, where it may not ask', async () => {
    const client = new FakeClient()
    client.info = () => Promise.reject(replyError('NOPERM this user has no permissions'))
    client.config = () => Promise.reject(replyError('ERR unknown command'))
    expect(await examined(client)).toEqual({ guarantee: 'advisory', holdBackMs: 0, replicas: 0 })
  })

  it.each([
    ['its link breaks', new Error('Connection is closed.')],
    ['the driver gives up', new Error('Command timed out')],
    ['the server is busy', replyError('BUSY Redis is busy running a script.')],
  ])('does not know it when %s on the way: it is to be asked again', async (_when, error) => {
    // Seen here: INFO that was not answered passed for INFO that is not allowed, and nothing was held back.
    const client = new FakeClient()
    client.info = () => Promise.reject(error)
    await expect(examined(client)).rejects.toBe(error)
    const other = new FakeClient()
    other.config = () => Promise.reject(error)
    await expect(examined(other)).rejects.toBe(error)
  })
})

describe('A server that is too old', () => {
  it('is refused at once, each time, with what is needed', async () => {
    const { url } = await started()
    const client = adminOf(url)
    const info = client.info.bind(client)
    // With a callback it is the driver itself that asks.
    const old = async (): Promise<string> => (await info()).replace(/redis_version:[\d.]+/, 'redis_version:6.2.14')
    client.info = ((...args: []) => (args.length > 0 ? info(...args) : old())) as typeof client.info
    const backend = redisBackend({ client, commandTimeoutMs: 60_000 })
    opened.push(() => backend.close())
    for (let round = 0; round < 3; round += 1) {
      const startMs = systemClock.monotonicMs()
      const error = await acquireLease(backend, 'r', {}).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        code: 'HF_UNSUPPORTED',
        message: 'Holdfast needs Redis 7.0 or later, and the server is 6.2.14.',
      })
      // Seen here: the second one waited for its deadline, and said that the server did not answer.
      expect(systemClock.monotonicMs() - startMs).toBeLessThan(30_000)
    }
    client.info = info as typeof client.info
    expect((await acquireLease(backend, 'r', {})).resource).toBe('r')
  })
})
