// Installs what is missing: `node scripts/install.mjs [npm] [redis] [zookeeper]` (all of them by default).
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { lockFitsManifests } from './lock-file.mjs'
import { missingOf, needs } from './needs.mjs'
import { Failure, reportFailure, run, say } from './steps.mjs'

/** @typedef {import('./needs.mjs').NeedName} NeedName */

const policyPath = '/usr/sbin/policy-rc.d'

/**
 * Says what is missing, then installs it; says and does nothing where nothing is missing.
 * @param {readonly NeedName[]} wanted
 */
export function install(wanted) {
  const missing = missingOf(wanted)
  if (missing.length === 0) return
  const labels = missing.map(name => needs[name].label).join(', ')
  if (process.env['HOLDFAST_INSTALL'] === 'never') {
    throw new Failure(`HOLDFAST_INSTALL=never forbids to install what is missing here: ${labels}.`)
  }
  const system = missing.filter(name => name !== 'npm')
  if (system.length > 0 && !canUseApt()) throw new Failure(adviceFor(system))
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

/** @param {readonly NeedName[]} missing */
function adviceFor(missing) {
  const labels = missing.map(name => needs[name].label).join(' and ')
  const advice = missing.map(name => `${needs[name].label}: ${needs[name].elsewhere}`).join('; ')
  return `This machine lacks ${labels}, and only on Debian as root are they installed for you (${advice}).`
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
  withoutDaemonStarts(() => {
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env, quiet: true })
  })
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
