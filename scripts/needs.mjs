// What the commands need from the machine, how to see whether it is there, and how to get it.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { findJava, findRedisServer, findZooKeeperClassPath } from './servers/binaries.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * @typedef {'npm' | 'redis' | 'zookeeper'} NeedName
 * @typedef {object} Need
 * @property {string} label what a person reads
 * @property {() => boolean} isMet
 * @property {() => string[]} apt Debian packages that bring it; none means npm brings it
 * @property {string} elsewhere what to do where apt is not to be used
 */

/** @type {Record<NeedName, Need>} */
export const needs = {
  npm: {
    label: 'npm packages',
    isMet: npmPackagesAreInstalled,
    apt: () => [],
    elsewhere: 'npm install --no-audit --no-fund',
  },
  redis: {
    label: 'redis-server',
    isMet: () => findRedisServer() !== undefined,
    apt: () => ['redis-server'],
    elsewhere:
      '`brew install redis`, or `docker run -p 6379:6379 redis:7` with HOLDFAST_REDIS_URL=redis://127.0.0.1:6379',
  },
  zookeeper: {
    label: 'ZooKeeper',
    isMet: () => findJava() !== undefined && findZooKeeperClassPath() !== undefined,
    apt: () => ['libzookeeper-java', 'libslf4j-java', ...(findJava() === undefined ? ['default-jre-headless'] : [])],
    elsewhere:
      '`brew install zookeeper`, or `docker run -p 2181:2181 zookeeper:3.8` with HOLDFAST_ZOOKEEPER=127.0.0.1:2181',
  },
}

/**
 * The wanted things that this machine lacks.
 * @param {readonly NeedName[]} wanted
 * @returns {NeedName[]}
 */
export function missingOf(wanted) {
  return wanted.filter(name => !needs[name].isMet())
}

/** Is node_modules what package-lock.json says, and package-lock.json what every package.json says? */
function npmPackagesAreInstalled() {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages
  const installed = readJson(join(root, 'node_modules/.package-lock.json'))?.packages
  if (wanted === undefined || installed === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path !== '' && !path.includes('node_modules/')) return workspaceIsUnchanged(path, entry)
    if (path === '') return workspaceIsUnchanged('.', entry)
    if (entry.link === true) return linkLeadsTo(join(root, path), join(root, entry.resolved))
    return entry.optional === true || installed[path]?.version === entry.version
  })
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} locked
 */
function workspaceIsUnchanged(path, locked) {
  const manifest = readJson(join(root, path, 'package.json'))
  if (manifest === undefined) return false
  return ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'].every(kind =>
    isDeepStrictEqual(manifest[kind] ?? {}, locked[kind] ?? {}),
  )
}

/**
 * @param {string} link
 * @param {string} target
 */
function linkLeadsTo(link, target) {
  return existsSync(link) && existsSync(target) && realpathSync(link) === realpathSync(target)
}

/**
 * @param {string} path
 * @returns {any} undefined where there is no such file
 */
function readJson(path) {
  if (!existsSync(path)) return undefined
  return JSON.parse(readFileSync(path, 'utf8'))
}
