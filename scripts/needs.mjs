// What the commands need from the machine, how to see whether it is there, and how to get it.
import { lockFitsManifests, lockIsInstalled } from './lock-file.mjs'
import {
  findCuratorClassPath,
  findJava,
  findKazooPython,
  findPostgres,
  findRedisServer,
  findZooKeeperClassPath,
} from './servers/binaries.mjs'

/**
 * @typedef {'npm' | 'redis' | 'zookeeper' | 'postgres' | 'curator' | 'kazoo'} NeedName
 * @typedef {object} Need
 * @property {string} label what a person reads
 * @property {() => boolean} isMet
 * @property {() => string[]} apt Debian packages that bring it; none means npm brings it
 * @property {string} [brew] the package of Homebrew
 * @property {string} [docker] how to start one in a container, for what can use a server that runs already
 */

/** @type {Record<NeedName, Need>} */
export const needs = {
  npm: {
    label: 'npm packages',
    isMet: () => lockFitsManifests() && lockIsInstalled(),
    apt: () => [],
  },
  redis: {
    label: 'redis-server',
    isMet: () => findRedisServer() !== undefined,
    apt: () => ['redis-server'],
    brew: 'redis',
    docker: 'docker run -d -p 6379:6379 redis:7, then set HOLDFAST_REDIS_URL=redis://127.0.0.1:6379',
  },
  zookeeper: {
    label: 'ZooKeeper',
    isMet: () => findJava() !== undefined && findZooKeeperClassPath() !== undefined,
    apt: () => [
      ...(findZooKeeperClassPath() === undefined ? ['libzookeeper-java', 'libslf4j-java'] : []),
      ...(findJava() === undefined ? ['default-jre-headless'] : []),
    ],
    brew: 'zookeeper',
    docker: 'docker run -d -p 2181:2181 zookeeper:3.8, then set HOLDFAST_ZOOKEEPER=127.0.0.1:2181',
  },
  postgres: {
    label: 'PostgreSQL',
    isMet: () => findPostgres() !== undefined,
    apt: () => ['postgresql'],
    brew: 'postgresql@15',
    docker:
      'docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=holdfast postgres:15, then set HOLDFAST_POSTGRES_URL=postgres://postgres:holdfast@127.0.0.1:5432/postgres',
  },
  curator: {
    label: 'Apache Curator',
    isMet: () => findCuratorClassPath() !== undefined,
    apt: () => ['libcurator-recipes-java', 'libslf4j-java', 'default-jdk-headless'],
  },
  kazoo: {
    label: 'kazoo',
    isMet: () => findKazooPython() !== undefined,
    apt: () => ['python3-kazoo'],
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

/**
 * What a person is told who has to install them: one sentence, then a line for each way.
 * @param {readonly NeedName[]} missing
 * @param {{ canBorrow: boolean, isForbidden: boolean }} situation whether a server that runs already would do, and whether
 *   the user forbade us to install
 */
export function adviceFor(missing, { canBorrow, isForbidden }) {
  const labels = missing.map(name => needs[name].label).join(', ')
  const why = isForbidden
    ? 'HOLDFAST_INSTALL=never forbids to install that'
    : 'only on Debian as root is that installed for you'
  const lines = [
    ...(missing.includes('npm') ? [['any system:', 'npm install']] : []),
    ...lineOf(
      'Debian, Ubuntu:',
      'sudo apt-get install',
      missing.flatMap(name => needs[name].apt()),
    ),
    ...lineOf(
      'macOS:',
      'brew install',
      missing.flatMap(name => needs[name].brew ?? []),
    ),
    ...(canBorrow ? missing.flatMap(name => needs[name].docker ?? []).map(docker => ['docker:', docker]) : []),
  ]
  const text = lines.map(([system = '', line]) => `  ${system.padEnd(16)}${line}`)
  return [`This machine lacks ${labels}, and ${why}. Do it yourself:`, ...text].join('\n')
}

/**
 * @param {string} system
 * @param {string} command
 * @param {readonly string[]} packages
 */
function lineOf(system, command, packages) {
  return packages.length === 0 ? [] : [[system, `${command} ${packages.join(' ')}`]]
}
