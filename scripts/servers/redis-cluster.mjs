import { setTimeout as sleep } from 'node:timers/promises'
import { ask, freePort } from './ports.mjs'
import { startRedis, syncAtOnce, untilFollowing } from './redis.mjs'

const masters = 3
const slots = 16_384
const readyMsMax = 20_000

/**
 * Starts a Redis Cluster of one's own: three masters, on loopback ports, with data folders of their own.
 * @param {import('../servers.mjs').RedisClusterOptions} [options]
 * @returns {Promise<import('../servers.mjs').RedisCluster>}
 */
export async function startRedisCluster({ appendonly = false, args = [], replicas = 0, nodeTimeoutMs = 5_000 } = {}) {
  const length = masters * (1 + replicas)
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs), ...syncAtOnce, ...args]
  const started = await Promise.allSettled(Array.from({ length }, () => startNode(appendonly, own)))
  const nodes = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const stop = async () => void (await Promise.all(nodes.map(node => node.stop())))
  try {
    for (const result of started) if (result.status === 'rejected') throw result.reason
    await Promise.all(nodes.slice(0, masters).map((node, index) => prepare(node.port, index)))
    await introduce(nodes.map(node => node.port))
    await becomeReady(nodes.map(node => node.port))
    const following = nodes.slice(masters).map(({ port }, index) => follow(port, nodes[index % masters]?.port ?? 0))
    await Promise.all(following)
    await becomeReady(
      nodes.map(node => node.port),
      following.length,
    )
  } catch (error) {
    await stop()
    throw error
  }
  return {
    nodes,
    stop,
    restart: async () => {
      await Promise.all(nodes.map(node => node.restart()))
      await becomeReady(
        nodes.map(node => node.port),
        nodes.length - masters,
      )
    },
    [Symbol.asyncDispose]: stop,
  }
}

/**
 * @param {boolean | 'always' | 'everysec'} appendonly
 * @param {readonly string[]} args
 */
async function startNode(appendonly, args) {
  // By default the port of the bus is 10,000 higher, where it may meet outgoing connections.
  return await startRedis({ appendonly, args: ['--cluster-port', String(await freePort()), ...args] })
}

/**
 * @param {number} port
 * @param {number} index
 */
async function prepare(port, index) {
  const [first, next] = [index, index + 1].map(at => Math.floor((at * slots) / masters))
  await ok(port, `CLUSTER ADDSLOTSRANGE ${first} ${Number(next) - 1}`)
  await ok(port, `CLUSTER SET-CONFIG-EPOCH ${index + 1}`)
}

/** @param {readonly number[]} ports */
async function introduce([first = 0, ...others]) {
  for (const port of others) {
    const busPort = /@(\d+)/.exec(await ask(port, 'CLUSTER NODES\r\n', /myself/))?.[1]
    await ok(first, `CLUSTER MEET 127.0.0.1 ${port} ${busPort}`)
  }
}

/**
 * @param {readonly number[]} ports
 * @param {number} [following] how many replicas all of them know as such
 */
async function becomeReady(ports, following = 0) {
  const deadlineMs = performance.now() + readyMsMax
  for (const port of ports) {
    while (!(await isReady(port, ports.length, following))) {
      if (performance.now() > deadlineMs) throw new Error(`A Redis Cluster was not ready within ${readyMsMax} ms.`)
      await sleep(20)
    }
  }
}

/**
 * @param {number} port of a node without slots
 * @param {number} masterPort
 */
async function follow(port, masterPort) {
  const [, id] = /^([0-9a-f]{40}) \S+ \S*myself/m.exec(await ask(masterPort, 'CLUSTER NODES\r\n', /myself/)) ?? []
  await ok(port, `CLUSTER REPLICATE ${id}`)
  await untilFollowing(port)
}

/**
 * @param {number} port
 * @param {number} nodes
 * @param {number} following
 */
async function isReady(port, nodes, following) {
  const roles = await ask(port, 'CLUSTER NODES\r\n', /\n\r\n$/)
  const info = await ask(port, 'CLUSTER INFO\r\n', /\r\n\r\n/)
  return (
    info.includes('cluster_state:ok') &&
    info.includes(`cluster_known_nodes:${nodes}\r`) &&
    info.includes('cluster_slots_ok:16384') &&
    roles.split(/\bslave\b/).length - 1 === following
  )
}

/**
 * @param {number} port
 * @param {string} command
 */
async function ok(port, command) {
  const answer = await ask(port, `${command}\r\n`, /\r\n/)
  if (!answer.startsWith('+OK')) throw new Error(`The Redis node answered to ${command}: ${answer}`)
}
