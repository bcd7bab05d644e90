// Whether package-lock.json says what the package.json files say, and node_modules what package-lock.json says.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { root as repository } from './root.mjs'

const kinds = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies']

/**
 * Does the lock file know every dependency of the root and of each workspace, in the same words?
 * @param {string} [root]
 */
export function lockFitsManifests(root = repository) {
  const entries = Object.entries(readPackages(join(root, 'package-lock.json')))
  const manifests = entries.filter(([path]) => !path.includes('node_modules/'))
  return (
    manifests.length > 0 &&
    manifests.every(([path, locked]) => {
      const manifest = readJson(join(root, path, 'package.json'))
      return manifest !== undefined && kinds.every(kind => isDeepStrictEqual(manifest[kind] ?? {}, locked[kind] ?? {}))
    })
  )
}

/**
 * Are the lock file's packages, and no others, in node_modules?
 * @param {string} [root]
 */
export function lockIsInstalled(root = repository) {
  const locked = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'))
  if (Object.keys(installed).some(path => locked[path] === undefined)) return false
  return Object.entries(locked).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true
    if (entry.link === true) return linkLeadsTo(join(root, path), join(root, entry.resolved))
    // Optional ones are for other platforms.
    return installed[path]?.version === entry.version || (entry.optional === true && installed[path] === undefined)
  })
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
 * @returns {Record<string, any>}
 */
function readPackages(path) {
  return readJson(path)?.packages ?? {}
}

/**
 * @param {string} path
 * @returns {any} undefined where there is no such file
 */
function readJson(path) {
  if (!existsSync(path)) return undefined
  return JSON.parse(readFileSync(path, 'utf8'))
}
