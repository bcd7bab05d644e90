// Runs a program of this repository on a checkout however fresh: `node scripts/run.mjs demo --backend redis`.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { install } from './install.mjs'
import { root } from './root.mjs'
import { build, Failure, reportFailure } from './steps.mjs'
import { endWhenUnread } from './unread-output.mjs'

/** @typedef {import('./needs.mjs').NeedName} NeedName */

/** @type {Record<string, { folder: string, needsOf: (args: readonly string[]) => NeedName[], canBorrow: boolean }>} */
const programs = {
  demo: { folder: 'examples/flash-sale', needsOf: needsOfBackend, canBorrow: true },
  quickstart: { folder: 'examples/quickstart', needsOf: needsOfBackend, canBorrow: true },
  'hot-product': { folder: 'examples/hot-product', needsOf: () => ['npm'], canBorrow: false },
  'live-config': { folder: 'examples/live-config', needsOf: needsOfOwnBackend, canBorrow: false },
  bench: { folder: 'bench', needsOf: needsOfBench, canBorrow: false },
  faults: { folder: 'faults', needsOf: needsOfServers, canBorrow: false },
  sim: { folder: 'sim', needsOf: () => ['npm'], canBorrow: false },
}

/**
 * Memory needs no server; the others need one unless the user named his.
 * @param {readonly string[]} args
 * @returns {NeedName[]}
 */
function needsOfBackend(args) {
  const backend = backendIn(args)
  if (backend === 'redis' && !isNamed('HOLDFAST_REDIS_URL')) return ['npm', 'redis']
  if (backend === 'zookeeper' && !isNamed('HOLDFAST_ZOOKEEPER')) return ['npm', 'zookeeper']
  if (backend === 'postgres' && !isNamed('HOLDFAST_POSTGRES_URL')) return ['npm', 'postgres']
  return ['npm']
}

/**
 * As above, with a server of its own whatever is named.
 * @param {readonly string[]} args
 * @returns {NeedName[]}
 */
function needsOfOwnBackend(args) {
  const backend = backendIn(args)
  return backend === 'redis' || backend === 'zookeeper' || backend === 'postgres' ? ['npm', backend] : ['npm']
}

/** @param {readonly string[]} args */
function backendIn(args) {
  const at = args.indexOf('--backend')
  return at === -1 ? args.find(arg => arg.startsWith('--backend='))?.slice('--backend='.length) : args[at + 1]
}

/**
 * What breaks a server, or measures one, starts its own.
 * @returns {NeedName[]}
 */
function needsOfServers() {
  return ['npm', 'redis', 'zookeeper', 'postgres']
}

/**
 * Locks are measured beside those of other languages.
 * @param {readonly string[]} args
 * @returns {NeedName[]}
 */
function needsOfBench(args) {
  return args.includes('lock') ? [...needsOfServers(), 'curator', 'kazoo'] : needsOfServers()
}

/** @param {string} variable */
function isNamed(variable) {
  return (process.env[variable] ?? '') !== ''
}

endWhenUnread(process)
await reportFailure(async () => {
  const [name = '', ...args] = process.argv.slice(2)
  const program = programs[name]
  if (program === undefined) {
    throw new Failure(`Expected one of ${Object.keys(programs).join(', ')}, got ${name === '' ? 'nothing' : name}`)
  }
  // To be told how it is used takes no server.
  const isHelp = args.includes('--help') || args.includes('-h')
  install(isHelp ? ['npm'] : program.needsOf(args), program)
  build([program.folder])
  const entry = join(root, program.folder, 'dist/main.js')
  // In this process, so that signals, exit codes and the terminal are the program's own.
  process.argv = [process.execPath, entry, ...args]
  await import(pathToFileURL(entry).href)
})
