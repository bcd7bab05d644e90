// Installs what is missing: `node scripts/install.mjs [npm] [redis] [zookeeper] [postgres] [curator] [kazoo]` (all of them by default).
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { lockFitsManifests } from './lock-file.mjs'
import { adviceFor, missingOf, needs } from './needs.mjs'
import { Failure, reportFailure, run, say } from './steps.mjs'

/** @typedef {import('./needs.mjs').NeedName} NeedName */

const policyPath = '/usr/sbin/policy-rc.d'
const clusterSettingsPath = '/etc/postgresql-common/createcluster.conf'

/**
 * Says what is missing, then installs it; says and does nothing where nothing is missing.
 * @param {readonly NeedName[]} wanted
 * @param {{ canBorrow?: boolean }} [options] whether a server that runs already, named by a variable, would do as well
 */
export function install(wanted, { canBorrow = false } = {}) {
  const missing = missingOf(wanted)
  if (missing.length === 0) return
  const system = missing.filter(name => name !== 'npm')
  if (process.env['HOLDFAST_INSTALL'] === 'never') {
    throw new Failure(adviceFor(missing, { canBorrow, isForbidden: true }))
  }
  if (system.length > 0 && !canUseApt()) throw new Failure(adviceFor(system, { canBorrow, isForbidden: false }))
  say(`Will install: ${missing.map(describe).join('; ')}.`)
  if (missing.includes('npm')) installNpmPackages()
  if (system.length > 0) installDebianPackages(system.flatMap(name => needs[name].apt()))
  const still = missingOf(wanted)
  if (still.length > 0) {
    throw new Failure(`Installed, but not to be found after that: ${still.map(name => needs[name].label).join(', ')}.`)
  }
}

/** @param {NeedName} name */
function describe(name) {
  const { label, apt } = needs[name]
  const packages = apt()
  return packages.length === 0 ? `${label} (into node_modules)` : `${label} (apt: ${packages.join(' ')})`
}

function canUseApt() {
  return existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get') && process.getuid?.() === 0
}

function installNpmPackages() {
  if (!lockFitsManifests()) {
    throw new Failure(
      'package-lock.json does not fit the package.json files: run `npm install` and commit the new one.',
    )
  }
  // Never `npm ci`: it fails where a registry lacks the binaries of some platforms. And no saving: another version of
  // npm would write the same lock file in other words.
  run('npm', ['install', '--no-audit', '--no-fund', '--no-save', '--include=dev'])
}

/** @param {readonly string[]} packages */
function installDebianPackages(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['update', '-qq'], { env, quiet: true })
  const installing = (/** @type {readonly string[]} */ names) => {
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { env, quiet: true })
  }
  withoutDaemonStarts(() => {
    if (!packages.includes('postgresql')) return installing(packages)
    // It brings the file that says whether a cluster is made with the server.
    installing(['postgresql-common'])
    withoutMainCluster(() => installing(packages))
  })
}

/**
 * PostgreSQL's package makes a cluster that starts with the machine, which nobody asked for.
 * @param {() => void} work
 */
function withoutMainCluster(work) {
  const settings = readFileSync(clusterSettingsPath, 'utf8')
  writeFileSync(clusterSettingsPath, `${settings}\ncreate_main_cluster = false\n`)
  try {
    work()
  } finally {
    writeFileSync(clusterSettingsPath, settings)
  }
}

/**
 * Packages start their daemons on standard ports unless a policy forbids it.
 * @param {() => void} work
 */
function withoutDaemonStarts(work) {
  if (existsSync(policyPath)) return work()
  writeFileSync(policyPath, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    work()
  } finally {
    rmSync(policyPath, { force: true })
  }
}

/** @param {string[]} args */
function parseNames(args) {
  const known = /** @type {NeedName[]} */ (Object.keys(needs))
  if (args.length === 0) return known
  return args.map(arg => {
    const name = known.find(candidate => candidate === arg)
    if (name === undefined) throw new Failure(`Expected any of ${known.join(', ')}, got ${arg}`)
    return name
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await reportFailure(() => install(parseNames(process.argv.slice(2))))
}
