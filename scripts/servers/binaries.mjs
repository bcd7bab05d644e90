// Where the servers' programs are on this machine.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** @returns {string | undefined} */
export function findRedisServer() {
  return findProgram('redis-server')
}

/** @returns {string | undefined} */
export function findJava() {
  const home = process.env['JAVA_HOME']
  if (home !== undefined && isProgram(join(home, 'bin/java'))) return join(home, 'bin/java')
  return findProgram('java')
}

/**
 * The class path of ZooKeeper: Debian's jars (whose manifest names the rest), or a `lib` folder of a distribution.
 * @returns {string | undefined}
 */
export function findZooKeeperClassPath() {
  const debian = ['/usr/share/java/slf4j-simple.jar', '/usr/share/java/zookeeper.jar']
  if (debian.every(jar => existsSync(jar))) return debian.join(delimiter)
  const lib = distributionFolders().find(folder => holdsZooKeeper(folder))
  return lib === undefined ? undefined : join(lib, '*')
}

/**
 * The class path of Apache Curator's recipes, and the compiler that its program needs to be run from its source.
 * @returns {string | undefined}
 */
export function findCuratorClassPath() {
  const debian = [
    '/usr/share/java/slf4j-simple.jar',
    '/usr/share/java/curator-recipes.jar',
    '/usr/share/java/zookeeper.jar',
  ]
  return debian.every(jar => existsSync(jar)) && findProgram('javac') !== undefined ? debian.join(delimiter) : undefined
}

/**
 * A Python that has kazoo.
 * @returns {string | undefined}
 */
export function findKazooPython() {
  const pythons = [findProgram('python3'), '/usr/bin/python3'].filter(path => path !== undefined)
  return pythons.find(python => spawnSync(python, ['-c', 'import kazoo'], { stdio: 'ignore' }).status === 0)
}

function distributionFolders() {
  const home = process.env['ZOOKEEPER_HOME']
  return [
    ...(home === undefined ? [] : [join(home, 'lib')]),
    '/opt/homebrew/opt/zookeeper/libexec/lib',
    '/usr/local/opt/zookeeper/libexec/lib',
    '/opt/zookeeper/lib',
  ]
}

/** @param {string} folder */
function holdsZooKeeper(folder) {
  return existsSync(folder) && readdirSync(folder).some(name => /^zookeeper-\d.*\.jar$/.test(name))
}

/**
 * The folder of PostgreSQL's programs: the newest of Debian's, else what the path or Homebrew has.
 * @returns {string | undefined}
 */
export function findPostgres() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return [
    ...versions.map(version => join(debian, version, 'bin')),
    ...pathFolders(),
    '/opt/homebrew/opt/postgresql@15/bin',
    '/usr/local/opt/postgresql@15/bin',
  ].find(folder => isProgram(join(folder, 'postgres')) && isProgram(join(folder, 'initdb')))
}

/**
 * @param {string} name
 * @returns {string | undefined}
 */
function findProgram(name) {
  return [...pathFolders(), '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
    .map(folder => join(folder, name))
    .find(isProgram)
}

function pathFolders() {
  return (process.env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '')
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
