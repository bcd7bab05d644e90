import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  freePort,
  sharedPostgres,
  sharedRedis,
  sharedZooKeeper,
  startPostgres,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  startZooKeeper,
  startZooKeeperEnsemble,
} from '../servers.mjs'
import { ask } from './ports.mjs'
import { startup } from './postgres.mjs'

const ping = (/** @type {number} */ port) => ask(port, 'PING\r\n', /\r\n/)

test('a Redis answers as soon as it is started, and is gone with its data after stop', async () => {
  const redis = await startRedis()
  expect(await ping(redis.port)).toBe('+PONG\r\n')
  expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`)
  await redis.stop()
  await redis.stop()
  expect(await ping(redis.port)).toBe('')
  expect(existsSync(redis.dataDir)).toBe(false)
})

test('a Redis that appends keeps its data over a crash, on the same port', async () => {
  const redis = await startRedis({ appendonly: true })
  onTestFinished(() => redis.stop())
  await ask(redis.port, 'SET a kept\r\n', /\r\n/)
  const { pid, port } = redis
  await redis.kill('SIGKILL')
  expect(await ping(port)).toBe('')
  await redis.restart()
  expect(redis.port).toBe(port)
  expect(redis.pid).not.toBe(pid)
  expect(await ask(port, 'GET a\r\n', /kept|\$-1/)).toContain('kept')
  await redis.restart({ keepData: false })
  expect(await ask(port, 'GET a\r\n', /kept|\$-1/)).toBe('$-1\r\n')
})

test('a Redis Cluster serves every slot as soon as it is started, again after a restart, and is gone after stop', async () => {
  const cluster = await startRedisCluster({ appendonly: true })
  onTestFinished(() => cluster.stop())
  const answers = () => Promise.all(cluster.nodes.map(({ port }) => ask(port, 'GET a\r\n', /\r\n/)))
  expect((await answers()).filter(answer => answer === '$-1\r\n')).toHaveLength(1)
  await cluster.restart()
  expect((await answers()).filter(answer => /^-MOVED 15495 127\.0\.0\.1:\d+\r\n$/.test(answer))).toHaveLength(2)
  await cluster.stop()
  expect(await Promise.all(cluster.nodes.map(({ port }) => ping(port)))).toEqual(['', '', ''])
})

test('a replica takes the place of a master of a Redis Cluster that is killed', async () => {
  const cluster = await startRedisCluster({ replicas: 1, nodeTimeoutMs: 500 })
  onTestFinished(() => cluster.stop())
  expect(cluster.nodes).toHaveLength(6)
  await cluster.nodes[0]?.kill()
  const port = cluster.nodes[3]?.port ?? 0
  await expect.poll(() => ask(port, 'ROLE\r\n', /\*0|\$/)).toContain('master')
})

test('the sentinels of a Redis agree on another master when theirs is killed', async () => {
  const { servers, masterPort, stop } = await startRedisSentinel()
  onTestFinished(stop)
  expect(await masterPort()).toBe(servers[0]?.port)
  await servers[0]?.kill()
  const others = servers.slice(1).map(({ port }) => port)
  await expect.poll(async () => others.includes((await masterPort()) ?? 0)).toBe(true)
})

test('a stopped (SIGSTOP) Redis can still be ended', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-given-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  const redis = await startRedis({ dataDir })
  await redis.kill('SIGSTOP')
  await redis.stop()
  expect(existsSync(dataDir)).toBe(true)
})

test('a ZooKeeper answers as soon as it is started, and again after a restart', async () => {
  const zookeeper = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
  onTestFinished(() => zookeeper.stop())
  expect(await ask(zookeeper.port, 'ruok', /imok/)).toBe('imok')
  await zookeeper.restart()
  expect(await ask(zookeeper.port, 'srvr', /Node count/)).toContain('Mode: standalone')
})

test('another ZooKeeper of an ensemble leads when the leader is killed, and all serve when it is back', async () => {
  const ensemble = await startZooKeeperEnsemble()
  onTestFinished(() => ensemble.stop())
  const first = await ensemble.leader()
  expect(ensemble.connectString.split(',')).toHaveLength(3)
  await first?.kill()
  await vi.waitFor(async () => expect(await ensemble.leader()).toBeDefined(), { timeout: 60_000, interval: 100 })
  expect(await ensemble.leader()).not.toBe(first)
  await first?.restart()
  await ensemble.ready()
})

test('a PostgreSQL keeps its data over a crash with a client connected, and leaves no shared memory when stopped', async () => {
  const postgres = await startPostgres()
  onTestFinished(() => postgres.stop())
  const { port, dataDir } = postgres
  const client = connect({ port, host: '127.0.0.1' }).on('error', () => {})
  onTestFinished(() => void client.destroy())
  client.write(startup)
  await once(client, 'data')
  expect(await query(port, 'CREATE TABLE kept AS SELECT 1 AS one')).toContain('SELECT 1')
  await postgres.restart()
  expect(await query(port, 'SELECT one FROM kept')).toContain('SELECT 1')
  await postgres.restart({ keepData: false, signal: 'SIGTERM' })
  expect(await query(port, 'SELECT one FROM kept')).toContain('"kept" does not exist')
  const segment = readFileSync(join(dataDir, 'store/postmaster.pid'), 'utf8').split('\n')[6]?.split(/ +/).at(-1)
  expect(sharedMemory()).toContain(segment)
  await postgres.stop()
  expect(existsSync(dataDir)).toBe(false)
  expect(sharedMemory()).not.toContain(segment)
})

test('a server that cannot start says so with its last words', async () => {
  await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow(
    /redis ended at its start:[^]*no-such-setting/,
  )
  const port = await freePort()
  const blocker = createServer().listen(port, '127.0.0.1')
  await once(blocker, 'listening')
  onTestFinished(() => void blocker.close())
  await expect(startRedis({ port })).rejects.toThrow(/Address already in use/)
})

test('a named server is used as it is', async () => {
  vi.stubEnv('HOLDFAST_REDIS_URL', 'redis://example.invalid:1')
  vi.stubEnv('HOLDFAST_ZOOKEEPER', 'example.invalid:2')
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('HOLDFAST_POSTGRES_URL', 'postgres://example.invalid:3/db')
  const [redis, zookeeper, postgres] = await Promise.all([sharedRedis(), sharedZooKeeper(), sharedPostgres()])
  expect(redis.url).toBe('redis://example.invalid:1')
  expect(zookeeper.connectString).toBe('example.invalid:2')
  expect(postgres.url).toBe('postgres://example.invalid:3/db')
  await Promise.all([redis.stop(), zookeeper.stop(), postgres.stop()])
})

test.each(/** @type {const} */ (['SIGKILL', 'SIGTERM', 'SIGINT']))(
  'servers and their data end with a parent that is ended by %s',
  async signal => {
    const holder = spawn(process.execPath, [join(import.meta.dirname, 'fixture-holder.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(holder.stdout, 'data')
    /** @type {{ pid: number, dataDir: string }[]} */
    const servers = JSON.parse(String(line))
    expect(servers.map(server => isRunning(server.pid))).toEqual([true, true, true])
    holder.kill(signal)
    await vi.waitFor(() => {
      expect(servers.map(server => isRunning(server.pid))).toEqual([false, false, false])
      expect(servers.map(server => existsSync(server.dataDir))).toEqual([false, false, false])
    }, 5_000)
  },
)

/**
 * What PostgreSQL answers to a statement of at most 100 characters.
 * @param {number} port
 * @param {string} sql
 */
function query(port, sql) {
  return ask(port, `${startup}Q\0\0\0${String.fromCharCode(sql.length + 5)}${sql}\0`, /SELECT \d|ERROR/)
}

function sharedMemory() {
  const lines = readFileSync('/proc/sysvipc/shm', 'utf8').split('\n')
  return lines.map(line => line.trim().split(/ +/)[1])
}

/**
 * A process that nobody has buried yet runs no more.
 * @param {number} pid
 */
function isRunning(pid) {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const status = `/proc/${pid}/status`
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'))
}
