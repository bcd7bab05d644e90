import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, freePort } from './ports.mjs'
import { Server } from './server.mjs'
import { serverCommand, settingsOf, writeSettings } from './zookeeper.mjs'

const size = 3
const readyMsMax = 60_000
const direct = async (/** @type {{ port: number }} */ { port }) => port

/**
 * Starts three ZooKeepers that are one ensemble, on loopback ports, with data folders of their own.
 * @param {import('../servers.mjs').ZooKeeperEnsembleOptions} [options]
 * @returns {Promise<import('../servers.mjs').ZooKeeperEnsemble>}
 */
export async function startZooKeeperEnsemble(options = {}) {
  const ids = Array.from({ length: size }, (_, at) => at + 1)
  const peers = await Promise.all(
    ids.map(async id => ({ id, quorumPort: await freePort(), electionPort: await freePort() })),
  )
  const started = await Promise.allSettled(ids.map(id => startMember(id, peers, options)))
  const servers = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const stop = async () => void (await Promise.all(servers.map(server => server.stop())))
  const ensemble = {
    servers,
    connectString: servers.map(({ port }) => `127.0.0.1:${port}`).join(','),
    quorumPorts: peers.map(({ quorumPort }) => quorumPort),
    leader: async () => await serverInMode(servers, 'leader'),
    ready: async () => await allServe(servers),
    stop,
    [Symbol.asyncDispose]: stop,
  }
  try {
    for (const result of started) if (result.status === 'rejected') throw result.reason
    await ensemble.ready()
    return ensemble
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * @param {number} id
 * @param {readonly { id: number, quorumPort: number, electionPort: number }[]} peers
 * @param {import('../servers.mjs').ZooKeeperEnsembleOptions} options
 */
async function startMember(id, peers, { syncLimit = 10, link = direct, ...options }) {
  const others = peers.filter(peer => peer.id !== id)
  const links = new Map([[id, peers[id - 1]?.quorumPort]])
  for (const peer of others) links.set(peer.id, await link({ from: id - 1, to: peer.id - 1, port: peer.quorumPort }))
  const server = await Server.start(
    {
      name: 'zookeeper',
      readyMsMax,
      command: place => {
        const settings = {
          ...settingsOf(place, options),
          initLimit: 20,
          syncLimit,
          ...Object.fromEntries(
            peers.map(peer => [`server.${peer.id}`, `127.0.0.1:${links.get(peer.id)}:${peer.electionPort}`]),
          ),
        }
        mkdirSync(settings.dataDir, { recursive: true })
        writeFileSync(join(settings.dataDir, 'myid'), String(id))
        return serverCommand('quorum.QuorumPeerMain', writeSettings(place, settings))
      },
      // Alone it serves nobody: that all do is waited for once they have started.
      isReady: async at => (await ask(at, 'ruok', /imok/)) === 'imok',
    },
    {},
  )
  return Object.assign(server, { connectString: `127.0.0.1:${server.port}` })
}

/** @param {readonly import('../servers.mjs').ZooKeeperServer[]} servers */
async function allServe(servers) {
  const deadlineMs = performance.now() + readyMsMax
  while (performance.now() < deadlineMs) {
    const modes = await Promise.all(servers.map(modeOf))
    if (modes.includes('leader') && modes.every(mode => mode !== undefined)) return
    await sleep(50)
  }
  throw new Error(`The ensemble did not agree on a leader within ${readyMsMax} ms.`)
}

/**
 * @param {readonly import('../servers.mjs').ZooKeeperServer[]} servers
 * @param {string} wanted
 */
async function serverInMode(servers, wanted) {
  const modes = await Promise.all(servers.map(modeOf))
  return servers[modes.indexOf(wanted)]
}

/** @param {import('../servers.mjs').ZooKeeperServer} server */
async function modeOf({ port }) {
  return /Mode: (\w+)/.exec(await ask(port, 'srvr', /Node count: \d+|not currently serving/))?.[1]
}
