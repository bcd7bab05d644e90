import { expect, test } from 'vitest'
import { brokenRules, sourceRules } from './source-rules.mjs'

const path = 'packages/lock/src/mutex.ts'

/** @type {[why: string, path: string, text: string][]} */
const violations = [
  ['the wall clock', path, 'const now = new Date()'],
  ['the wall clock without parentheses', path, 'const now = new Date\n'],
  ['export star', path, `export * from './lease.ts'`],
  ['export type star', path, `export type * from './lease.ts'`],
  ['a file of helpers', 'packages/lock/src/utils.ts', ''],
  ['a folder of helpers', 'packages/lock/src/common/a.ts', ''],
  ['camel case', 'packages/lock/src/readWrite.ts', ''],
  ['a file of another package', path, `import { a } from '../../core/src/index.ts'`],
  ['a file above src', path, `import '../package.json'`],
  ['no extension', path, `import { a } from './lease'`],
  ['an extension of the output', path, `import { a } from './lease.js'`],
  ['a registry in the lock file', 'package-lock.json', '"resolved": "https://registry.example/a.tgz"'],
  ['a registry in .npmrc', '.npmrc', 'registry=https://registry.example'],
]

/** @type {[why: string, path: string, text: string][]} */
const allowed = [
  ['a date of a given time', path, 'new Date(clock.wallMs())'],
  ['a comment on dates', path, '// not new Date(), which jumps\n/* new Date() */'],
  ['the clock itself', 'packages/core/src/clock.ts', 'new Date()'],
  ['a test', 'packages/core/src/live.test.ts', 'new Date()'],
  ['a sibling folder', 'packages/core/src/redis/leases.ts', `import { a } from '../lease/lease.ts'`],
  ['a test in kebab-case', 'packages/core/src/redis/read-write.test.ts', ''],
  ['a link in the lock file', 'package-lock.json', '"resolved": "packages/core"'],
]

test.each(violations)('%s breaks one rule', (_why, path, text) => {
  expect(brokenRules(path, text)).toHaveLength(1)
})

test.each(allowed)('%s breaks none', (_why, path, text) => {
  expect(brokenRules(path, text)).toEqual([])
})

test('every rule is seen to fail', () => {
  const said = violations.flatMap(([, path, text]) => brokenRules(path, text))
  for (const rule of sourceRules) expect(said.some(sentence => sentence.endsWith(rule.says))).toBe(true)
})
