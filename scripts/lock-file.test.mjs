import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lockFitsManifests, lockIsInstalled } from './lock-file.mjs'

/** A repository with one workspace and one dependency, installed. */
function repository() {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-lock-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const dependency = { version: '1.2.3' }
  write(root, 'package.json', { devDependencies: { a: '^1' } })
  write(root, 'packages/b/package.json', { dependencies: { a: '^1' } })
  write(root, 'package-lock.json', {
    packages: {
      '': { devDependencies: { a: '^1' } },
      'packages/b': { dependencies: { a: '^1' } },
      'node_modules/a': dependency,
      'node_modules/b': { link: true, resolved: 'packages/b' },
      'node_modules/other-platform': { version: '1.0.0', optional: true },
    },
  })
  write(root, 'node_modules/.package-lock.json', {
    packages: { 'node_modules/a': dependency, 'node_modules/b': { link: true, resolved: 'packages/b' } },
  })
  symlinkSync('../packages/b', join(root, 'node_modules/b'))
  return root
}

/**
 * @param {string} root
 * @param {string} path
 * @param {unknown} value
 */
function write(root, path, value) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), JSON.stringify(value))
}

test('an installed repository lacks nothing', () => {
  const root = repository()
  expect(lockFitsManifests(root)).toBe(true)
  expect(lockIsInstalled(root)).toBe(true)
})

test('a dependency that the lock file does not know is seen', () => {
  const root = repository()
  write(root, 'packages/b/package.json', { dependencies: { a: '^1', c: '^2' } })
  expect(lockFitsManifests(root)).toBe(false)
})

test('a missing lock file fits nothing', () => {
  const root = repository()
  rmSync(join(root, 'package-lock.json'))
  expect(lockFitsManifests(root)).toBe(false)
})

test('a missing node_modules is seen', () => {
  const root = repository()
  rmSync(join(root, 'node_modules'), { recursive: true })
  expect(lockIsInstalled(root)).toBe(false)
})

test('another version is seen', () => {
  const root = repository()
  write(root, 'node_modules/.package-lock.json', { packages: { 'node_modules/a': { version: '1.2.4' } } })
  expect(lockIsInstalled(root)).toBe(false)
})

test('a package that the lock file does not name is seen', () => {
  const root = repository()
  const packages = { 'node_modules/a': { version: '1.2.3' }, 'node_modules/stray': { version: '1.0.0' } }
  write(root, 'node_modules/.package-lock.json', { packages })
  expect(lockIsInstalled(root)).toBe(false)
})

test('a workspace that is not linked is seen', () => {
  const root = repository()
  rmSync(join(root, 'node_modules/b'))
  expect(lockIsInstalled(root)).toBe(false)
})
