// What the commands need from the machine, how to see whether it is there, and how to get it.
import { lockFitsManifests, lockIsInstalled } from './lock-file.mjs'
import { findJava, findRedisServer, findZooKeeperClassPath } from './servers/binaries.mjs'

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
    isMet: () => lockFitsManifests() && lockIsInstalled(),
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
