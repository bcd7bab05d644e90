import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findPostgres } from './binaries.mjs'
import { ask } from './ports.mjs'
import { Server } from './server.mjs'

// PostgreSQL refuses to run as root; Debian's packages bring a user for it.
const account = 'postgres'
const superuser = 'postgres'
const initFlags = ['--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--wal-segsize=1', '--no-instructions']
const parameters = `user\0${superuser}\0database\0postgres\0\0`
/** The first message of a client, protocol 3.0. A server that is still starting answers it with an error (E). */
export const startup = `\0\0\0${String.fromCharCode(parameters.length + 8)}\0\u0003\0\0${parameters}`

const settings = {
  // What was acknowledged survives SIGKILL all the same: it is in the kernel's hands. Only a crash of the machine could lose it,
  // and a test's data may go with the machine. A test of the durability that is claimed gives `-c fsync=on`.
  fsync: 'off',
  max_connections: '200',
  shared_buffers: '16MB',
  timezone: 'UTC',
}

/**
 * Starts a PostgreSQL of one's own on a loopback port, whose superuser `postgres` needs no password.
 * @param {import('../servers.mjs').PostgresOptions} [options]
 * @returns {Promise<import('../servers.mjs').PostgresServer>}
 */
export async function startPostgres({ args = [], dataDir, port } = {}) {
  const folder = findPostgres()
  if (folder === undefined) {
    throw new Error('Found no PostgreSQL on this machine: run `node scripts/install.mjs postgres`.')
  }
  const server = await Server.start(
    {
      name: 'postgres',
      readyMsMax: 30_000,
      // SIGTERM would wait for clients to leave, and SIGKILL leave a piece of shared memory behind.
      termSignal: 'SIGINT',
      command: async place => {
        const store = await initialized(folder, { dataDir: place.dataDir, isTemporary: dataDir === undefined })
        const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
        const address = ['-h', '127.0.0.1', '-p', String(place.port), '-k', '']
        return asAccount([join(folder, 'postgres'), '-D', store, ...address, ...given, ...args])
      },
      isReady: async at => (await ask(at, startup, /^[RE]/)).startsWith('R'),
    },
    { dataDir, port },
  )
  return Object.assign(server, { url: `postgres://${superuser}@127.0.0.1:${server.port}/postgres` })
}

/**
 * The PostgreSQL that HOLDFAST_POSTGRES_URL names, which is nobody's to stop or reconfigure; one of our own where none is named.
 * @returns {Promise<import('../servers.mjs').SharedPostgres>}
 */
export async function sharedPostgres() {
  const url = process.env['HOLDFAST_POSTGRES_URL']
  if (url === undefined || url === '') return startPostgres()
  return { url, stop: async () => {} }
}

/**
 * The folder of a cluster, made the first time.
 * @param {string} folder
 * @param {{ dataDir: string, isTemporary: boolean }} place
 */
async function initialized(folder, { dataDir, isTemporary }) {
  const store = join(dataDir, 'store')
  if (existsSync(join(store, 'PG_VERSION'))) return store
  mkdirSync(store, { recursive: true, mode: 0o700 })
  if (isRoot()) {
    const { uid, gid } = idsOf(account)
    chownSync(store, uid, gid)
    // The way to it, as far as it is ours, must be open to that user as well.
    for (const parent of isTemporary ? [dataDir, dirname(dataDir)] : []) chmodSync(parent, 0o711)
  }
  await run(asAccount([join(folder, 'initdb'), '-D', store, '-U', superuser, ...initFlags]), dataDir)
  return store
}

/**
 * @param {[string, ...string[]]} command
 * @returns {[string, ...string[]]}
 */
function asAccount(command) {
  // Not runuser or su: their pid is not the server's.
  return isRoot() ? ['setpriv', `--reuid=${account}`, `--regid=${account}`, '--init-groups', ...command] : command
}

function isRoot() {
  return process.getuid?.() === 0
}

/** @param {string} name */
function idsOf(name) {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
    .find(fields => fields[0] === name)
  if (entry === undefined) {
    throw new Error(`PostgreSQL does not run as root, and this machine has no user ${name} for it: be another user.`)
  }
  return { uid: Number(entry[2]), gid: Number(entry[3]) }
}

/**
 * @param {[string, ...string[]]} command
 * @param {string} cwd
 */
async function run([program, ...args], cwd) {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', text => (words += text))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} failed:\n${words}`)
}
