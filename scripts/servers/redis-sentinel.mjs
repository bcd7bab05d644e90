import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findRedisServer } from './binaries.mjs'
import { ask } from './ports.mjs'
import { startRedis, syncAtOnce, untilFollowing } from './redis.mjs'
import { Server } from './server.mjs'

const name = 'holdfast'
const replicas = 2
const sentinels = 3
const quorum = 2
const readyMsMax = 20_000

/**
 * Starts a Redis of one's own with two replicas and three sentinels that watch them, on loopback ports, with data folders of their own.
 * @param {import('../servers.mjs').RedisSentinelOptions} [options]
 * @returns {Promise<import('../servers.mjs').RedisSentinel>}
 */
export async function startRedisSentinel({ appendonly = false, args = [], downAfterMs = 500, masterVia } = {}) {
  /** @type {import('../servers.mjs').OwnServer[]} */
  const started = []
  const stop = async () => void (await Promise.all([...started].reverse().map(server => server.stop())))
  try {
    const own = [...syncAtOnce, ...args]
    const master = await startRedis({ appendonly, args: own })
    started.push(master)
    const servers = [master]
    const masterKnownAt = (await masterVia?.(master.port)) ?? master.port
    // As a replica, once it was replaced, it is to be known by the same port.
    if (masterKnownAt !== master.port)
      await ask(master.port, `CONFIG SET replica-announce-port ${masterKnownAt}\r\n`, /\r\n/)
    for (let count = 0; count < replicas; count++) {
      const replica = await startRedis({
        appendonly,
        args: ['--replicaof', '127.0.0.1', String(masterKnownAt), ...own],
      })
      started.push(replica)
      servers.push(replica)
      await untilFollowing(replica.port)
    }
    /** @type {import('../servers.mjs').OwnServer[]} */
    const watching = []
    for (let count = 0; count < sentinels; count++) {
      const sentinel = await startSentinel(masterKnownAt, downAfterMs)
      started.push(sentinel)
      watching.push(sentinel)
    }
    for (const { port } of watching) await becomeReady(port)
    return {
      name,
      servers,
      sentinels: watching,
      masterPort: async () => await masterPort(watching.map(({ port }) => port)),
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @param {number} port of the master
 * @param {number} downAfterMs
 */
async function startSentinel(port, downAfterMs) {
  const binary = findRedisServer() ?? 'redis-server'
  return await Server.start(
    {
      name: 'redis-sentinel',
      readyMsMax: 10_000,
      command: place => [binary, writeSettings(place, port, downAfterMs), '--sentinel'],
      isReady: async at => (await ask(at, 'PING\r\n', /\r\n/)).startsWith('+PONG'),
    },
    { dataDir: undefined, port: undefined },
  )
}

/**
 * A sentinel keeps what it learns in its settings, so they are a file that it may write.
 * @param {{ port: number, dataDir: string }} place
 * @param {number} masterPort
 * @param {number} downAfterMs
 */
function writeSettings({ port, dataDir }, masterPort, downAfterMs) {
  const path = join(dataDir, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dataDir}`,
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} 3000`,
    `sentinel parallel-syncs ${name} ${replicas}`,
  ]
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

/**
 * Returns once a sentinel knows the replicas and the other sentinels: before, it could not replace the master.
 * @param {number} port
 */
async function becomeReady(port) {
  const deadlineMs = performance.now() + readyMsMax
  const wanted = 'status=ok,address=127.0.0.1:'
  for (;;) {
    const info = await ask(port, 'INFO sentinel\r\n', /sentinels=\d+\r\n/)
    if (info.includes(wanted) && info.includes(`slaves=${replicas},sentinels=${sentinels}`)) return
    if (performance.now() > deadlineMs) throw new Error(`A sentinel was not ready within ${readyMsMax} ms: ${info}`)
    await sleep(50)
  }
}

/**
 * What most of those that answer say.
 * @param {readonly number[]} ports
 */
async function masterPort(ports) {
  const question = `SENTINEL GET-MASTER-ADDR-BY-NAME ${name}\r\n`
  const answers = await Promise.all(ports.map(port => ask(port, question, /\r\n\d+\r\n$/)))
  const said = answers.flatMap(answer => /\r\n(\d+)\r\n$/.exec(answer)?.[1] ?? []).map(Number)
  return said.find(port => said.filter(other => other === port).length >= quorum)
}
