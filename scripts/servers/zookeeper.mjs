import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findJava, findZooKeeperClassPath } from './binaries.mjs'
import { ask } from './ports.mjs'
import { Server } from './server.mjs'

const javaFlags = [
  '-Xmx128m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

/**
 * Starts a standalone ZooKeeper of one's own on a loopback port.
 * @param {import('../servers.mjs').ZooKeeperOptions} [options]
 * @returns {Promise<import('../servers.mjs').ZooKeeperServer>}
 */
export async function startZooKeeper(options = {}) {
  const server = await Server.start(
    {
      name: 'zookeeper',
      readyMsMax: 30_000,
      command: place => serverCommand('ZooKeeperServerMain', writeSettings(place, settingsOf(place, options))),
      isReady: async at => (await ask(at, 'srvr', /Node count: \d+/)).includes('Mode:'),
    },
    options,
  )
  return Object.assign(server, { connectString: `127.0.0.1:${server.port}` })
}

/**
 * The ZooKeeper that HOLDFAST_ZOOKEEPER names, which is nobody's to stop or reconfigure; one of our own where none is named.
 * @returns {Promise<import('../servers.mjs').SharedZooKeeper>}
 */
export async function sharedZooKeeper() {
  const connectString = process.env['HOLDFAST_ZOOKEEPER']
  if (connectString === undefined || connectString === '') return startZooKeeper()
  return { connectString, stop: async () => {} }
}

/**
 * How a server is started. Not zkServer.sh: its pid is a shell's, and killing that orphans the server.
 * @param {string} program
 * @param {string} config
 * @returns {[string, ...string[]]}
 */
export function serverCommand(program, config) {
  const java = findJava()
  const classPath = findZooKeeperClassPath()
  if (java === undefined || classPath === undefined) {
    throw new Error('Found no ZooKeeper on this machine: run `node scripts/install.mjs zookeeper`.')
  }
  return [java, ...javaFlags, '-cp', classPath, `org.apache.zookeeper.server.${program}`, config]
}

/**
 * @param {{ port: number, dataDir: string }} place
 * @param {import('../servers.mjs').ZooKeeperOptions} options
 */
export function settingsOf(
  { port, dataDir },
  { tickTime = 500, minSessionTimeoutMs = 500, maxSessionTimeoutMs = 60_000 },
) {
  return {
    dataDir: join(dataDir, 'store'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime,
    minSessionTimeout: minSessionTimeoutMs,
    maxSessionTimeout: maxSessionTimeoutMs,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': 'ruok,srvr,mntr,wchs,cons,dump',
    extendedTypesEnabled: true,
    // A test's data may be lost with the machine's power; waiting for the disk would cost ms a write.
    forceSync: 'no',
    preAllocSize: 1024,
  }
}

/**
 * @param {{ dataDir: string }} place
 * @param {Readonly<Record<string, string | number | boolean>> & { readonly dataDir: string }} settings
 * @returns {string} where they stand
 */
export function writeSettings({ dataDir }, settings) {
  mkdirSync(settings.dataDir, { recursive: true })
  const path = join(dataDir, 'zoo.cfg')
  writeFileSync(
    path,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  return path
}
