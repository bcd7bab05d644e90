// Rules on the sources that the linter has no words for.

/**
 * @typedef {object} SourceRule
 * @property {string} says
 * @property {(path: string) => boolean} appliesTo
 * @property {(path: string, text: string) => boolean} isBroken
 */

const isPackageSource = (/** @type {string} */ path) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path)
const isTest = (/** @type {string} */ path) => path.endsWith('.test.ts')
const isClock = (/** @type {string} */ path) => path === 'packages/core/src/clock.ts'
const homeless = new Set(['utils', 'util', 'common', 'helpers', 'helper', 'types', 'manager', 'misc'])

/** @type {readonly SourceRule[]} */
export const sourceRules = [
  {
    says: 'reads the wall clock by `new Date()`: time comes from a Clock',
    appliesTo: path => isPackageSource(path) && !isTest(path) && !isClock(path),
    isBroken: (_path, text) => /\bnew Date(?:\(\s*\)|(?![\w(]))/.test(withoutComments(text)),
  },
  {
    says: 're-exports by `export *`: an index is a hand-kept list of public names',
    appliesTo: path => isPackageSource(path),
    isBroken: (_path, text) => /^\s*export\s+(?:type\s+)?\*\s+from\b/m.test(withoutComments(text)),
  },
  {
    says: 'is named for no idea (utils, common, helpers, types, manager)',
    appliesTo: path => isPackageSource(path),
    isBroken: path => path.split('/').some(part => homeless.has(part.replace(/(\.test)?\.ts$/, ''))),
  },
  {
    says: 'is not named in kebab-case',
    appliesTo: path => isPackageSource(path),
    isBroken: path => path.split('/').some(part => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9-]+)*$/.test(part)),
  },
  {
    says: 'imports a file outside of its package by a relative path',
    appliesTo: path => isPackageSource(path),
    isBroken: (path, text) => relativeImports(text).some(target => climbs(target) > depthInSource(path)),
  },
  {
    says: 'imports a relative file without its .ts extension',
    appliesTo: path => isPackageSource(path),
    isBroken: (_path, text) => relativeImports(text).some(target => !/\.(?:ts|json)$/.test(target)),
  },
  {
    says: 'names the host of a registry',
    appliesTo: path => path === 'package-lock.json' || path.endsWith('.npmrc'),
    isBroken: (_path, text) => /"resolved":\s*"https?:|registry\s*=/.test(text),
  },
]

/**
 * @param {string} path from the repository's root, with slashes
 * @param {string} text
 * @returns {string[]} a sentence for each rule that the file breaks
 */
export function brokenRules(path, text) {
  return sourceRules
    .filter(rule => rule.appliesTo(path) && rule.isBroken(path, text))
    .map(rule => `${path} ${rule.says}`)
}

/** @param {string} text */
function withoutComments(text) {
  return text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

/** @param {string} text */
function relativeImports(text) {
  const found = withoutComments(text).matchAll(/\b(?:from|import)\s*\(?\s*(['"])(\.[^'"\n]*)\1/g)
  return [...found].map(match => /** @type {string} */ (match[2]))
}

/** @param {string} target */
function climbs(target) {
  return target.split('/').filter(part => part === '..').length
}

/** @param {string} path */
function depthInSource(path) {
  return path.split('/').length - 'packages/name/src/file.ts'.split('/').length
}
