import { setTimeout as sleep } from 'node:timers/promises'
import { findRedisServer } from './binaries.mjs'
import { ask } from './ports.mjs'
import { Server } from './server.mjs'

const followMsMax = 20_000

/** By default a master waits five seconds for more replicas. */
export const syncAtOnce = ['--repl-diskless-sync-delay', '0']

/**
 * Starts a Redis of one's own on a loopback port. It keeps nothing on disk unless `appendonly` is given.
 * @param {import('../servers.mjs').RedisOptions} [options]
 * @returns {Promise<import('../servers.mjs').RedisServer>}
 */
export async function startRedis({ appendonly = false, args = [], dataDir, port } = {}) {
  const binary = findRedisServer()
  if (binary === undefined) {
    throw new Error('Found no redis-server on this machine: run `node scripts/install.mjs redis`.')
  }
  const server = await Server.start(
    {
      name: 'redis',
      readyMsMax: 10_000,
      command: place => [binary, ...settings(place, appendonly), ...args],
      isReady: async at => /^(\+PONG|-NOAUTH|-DENIED)/.test(await ask(at, 'PING\r\n', /\r\n/)),
    },
    { dataDir, port },
  )
  return Object.assign(server, { url: `redis://127.0.0.1:${server.port}` })
}

/**
 * Returns once a replica has all that its master has.
 * @param {number} port
 */
export async function untilFollowing(port) {
  const deadlineMs = performance.now() + followMsMax
  while (!(await ask(port, 'INFO replication\r\n', /repl_offset/)).includes('master_link_status:up')) {
    if (performance.now() > deadlineMs) throw new Error(`A Redis replica did not follow within ${followMsMax} ms.`)
    await sleep(20)
  }
}

/**
 * The Redis that HOLDFAST_REDIS_URL names, which is nobody's to flush, stop or reconfigure; one of our own where none is named.
 * @returns {Promise<import('../servers.mjs').SharedRedis>}
 */
export async function sharedRedis() {
  const url = process.env['HOLDFAST_REDIS_URL']
  if (url === undefined || url === '') return startRedis()
  return { url, stop: async () => {} }
}

/**
 * @param {{ port: number, dataDir: string }} place
 * @param {boolean | 'always' | 'everysec'} appendonly
 */
function settings({ port, dataDir }, appendonly) {
  const kept =
    appendonly === false ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', fsyncOf(appendonly)]
  return ['--port', String(port), '--bind', '127.0.0.1', '--dir', dataDir, '--save', '', ...kept]
}

/** @param {true | 'always' | 'everysec'} appendonly */
function fsyncOf(appendonly) {
  return appendonly === true ? 'always' : appendonly
}
