// Each rule of .oxlintrc.json that guards the architecture is seen to fail here: a rule that cannot fail guards nothing.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from './root.mjs'

const core = 'packages/core/src'
const lock = 'packages/lock/src'
const resilience = 'packages/resilience/src'

/** @type {[path: string, source: string, rule: string][]} */
const violations = [
  [`${core}/imports-lock.ts`, `import '@holdfast/lock'`, 'no-restricted-imports'],
  [`${core}/imports-ioredis.ts`, `import 'ioredis'`, 'no-restricted-imports'],
  [`${core}/imports-ioredis-inside.ts`, `import 'ioredis/built/Redis'`, 'no-restricted-imports'],
  [`${core}/imports-zookeeper.ts`, `import 'node-zookeeper-client'`, 'no-restricted-imports'],
  [`${core}/imports-zookeeper-inside.ts`, `import 'node-zookeeper-client/lib/Path.js'`, 'no-restricted-imports'],
  [`${core}/imports-opentelemetry.ts`, `import '@opentelemetry/api'`, 'no-restricted-imports'],
  [`${core}/lease/imports-otel.ts`, `import '../otel/index.ts'`, 'no-restricted-imports'],
  [`${core}/redis/imports-opentelemetry.ts`, `import '@opentelemetry/api'`, 'no-restricted-imports'],
  [`${core}/otel/imports-adapter.ts`, `import '../memory/index.ts'`, 'no-restricted-imports'],
  [`${core}/imports-node.ts`, `import 'node:events'`, 'no-restricted-imports'],
  [`${core}/imports-bare-node.ts`, `import 'fs'`, 'prefer-node-protocol'],
  [`${core}/imports-adapter.ts`, `import './redis/index.ts'`, 'no-restricted-imports'],
  [`${core}/lease/imports-adapter.ts`, `import '../memory/index.ts'`, 'no-restricted-imports'],
  [`${core}/memory/imports-node.ts`, `import 'node:events'`, 'no-restricted-imports'],
  [`${core}/redis/imports-zookeeper.ts`, `import 'node-zookeeper-client'`, 'no-restricted-imports'],
  [`${core}/redis/imports-adapter.ts`, `import '../zookeeper/session.ts'`, 'no-restricted-imports'],
  [`${core}/redis/imports-timers.ts`, `import 'node:timers/promises'`, 'no-restricted-imports'],
  [`${core}/zookeeper/imports-ioredis.ts`, `import 'ioredis'`, 'no-restricted-imports'],
  [`${core}/testing/imports-ioredis.ts`, `import 'ioredis'`, 'no-restricted-imports'],
  [`${lock}/imports-config-client.ts`, `import '@holdfast/config-client'`, 'no-restricted-imports'],
  [`${lock}/imports-scripts.ts`, `import '@holdfast/scripts/servers'`, 'no-restricted-imports'],
  [`${lock}/imports-adapter.ts`, `import '@holdfast/core/redis'`, 'no-restricted-imports'],
  [`${lock}/imports-testing.ts`, `import '@holdfast/core/testing'`, 'no-restricted-imports'],
  [`${lock}/imports-ioredis.ts`, `import 'ioredis'`, 'no-restricted-imports'],
  [`${lock}/imports-zookeeper.ts`, `import 'node-zookeeper-client'`, 'no-restricted-imports'],
  [`${lock}/imports-opentelemetry.ts`, `import '@opentelemetry/api'`, 'no-restricted-imports'],
  [`${lock}/imports-node.ts`, `import 'node:fs'`, 'no-restricted-imports'],
  [`${resilience}/imports-testing.ts`, `import '@holdfast/core/testing'`, 'no-restricted-imports'],
  [`${resilience}/testing/imports-adapter.ts`, `import '@holdfast/core/memory'`, 'no-restricted-imports'],
  [`${resilience}/testing/imports-lock.ts`, `import '@holdfast/lock'`, 'no-restricted-imports'],
  [`packages/later/src/imports-lock.ts`, `import '@holdfast/lock'`, 'no-restricted-imports'],
  [`packages/later/src/imports-ioredis.ts`, `import 'ioredis'`, 'no-restricted-imports'],
  [`${lock}/cycle-a.ts`, `import { b } from './cycle-b.ts'\nexport const a: number = 1 + b`, 'no-cycle'],
  [`${lock}/cycle-b.ts`, `import { a } from './cycle-a.ts'\nexport const b: number = 1 + a`, 'no-cycle'],
  [`${lock}/default.ts`, `export default 1`, 'no-default-export'],
  [`${lock}/any.ts`, `export const a: any = 1`, 'no-explicit-any'],
  [`${lock}/unsafe.ts`, `export const a: string = JSON.parse('1')`, 'no-unsafe-assignment'],
  [`${lock}/console.ts`, `console.log(1)`, 'no-console'],
  [`${lock}/date-now.ts`, `export const a: number = Date.now()`, 'no-restricted-properties'],
  [`${lock}/math-random.ts`, `export const a: number = Math.random()`, 'no-restricted-properties'],
  [`${lock}/performance.ts`, `export const a: number = performance.now()`, 'no-restricted-globals'],
  [`${lock}/timeout.ts`, `setTimeout(() => {}, 1)`, 'no-restricted-globals'],
  [`${lock}/interval.ts`, `setInterval(() => {}, 1)`, 'no-restricted-globals'],
  [`${lock}/global-timeout.ts`, `globalThis.setTimeout(() => {}, 1)`, 'no-restricted-properties'],
  [`${lock}/abort-timeout.ts`, `export const a: AbortSignal = AbortSignal.timeout(1)`, 'no-restricted-properties'],
  [`${core}/redis/timeout.ts`, `setTimeout(() => {}, 1)`, 'no-restricted-globals'],
  [`${core}/testing/date-now.ts`, `export const a: number = Date.now()`, 'no-restricted-properties'],
  [`${lock}/long.ts`, 'void 0\n'.repeat(401), 'max-lines'],
  [`${lock}/long.test.ts`, 'void 0\n'.repeat(601), 'max-lines'],
  [`${lock}/long-function.ts`, `export function f(): void {\n${'  void 0\n'.repeat(70)}}`, 'max-lines-per-function'],
  [`${lock}/floating.ts`, `Promise.resolve(1)`, 'no-floating-promises'],
  [`faults/src/floating.ts`, `Promise.resolve(1)`, 'no-floating-promises'],
  [
    `${lock}/switch.ts`,
    `export function f(a: 'b' | 'c'): void {\n  switch (a) {\n    case 'b':\n  }\n}`,
    'switch-exhaustiveness-check',
  ],
]

/** @type {[path: string, source: string][]} */
const allowed = [
  [`${core}/clock.ts`, `export const now: number = Date.now() + performance.now()\nsetTimeout(() => {}, 1)`],
  [`${core}/random.ts`, `export const a: number = Math.random()`],
  [`${core}/type-of-node.ts`, `import type { EventEmitter } from 'node:events'\nexport type E = EventEmitter`],
  [`${core}/redis/driver.ts`, `import 'ioredis'\nimport 'node:crypto'\nimport '../errors.ts'`],
  [`${core}/zookeeper/driver.ts`, `import 'node-zookeeper-client'\nimport 'node:net'`],
  [`${core}/otel/spans.ts`, `import '@opentelemetry/api'\nimport '../errors.ts'`],
  [`${core}/testing/proxy.ts`, `import 'node:net'\nimport '../memory/world.ts'`],
  [`${core}/redis/driver.test.ts`, `import 'node:fs'\nimport '@holdfast/scripts/servers'\nsetTimeout(() => {}, 1)`],
  [`${lock}/mutex.ts`, `import '@holdfast/core'\nimport 'node:async_hooks'`],
  [`bench/src/peers.ts`, `import 'ioredis'\nimport 'node:fs'\nimport '@holdfast/lock'\nconsole.log(Date.now())`],
  [`${resilience}/testing/imports-testing.ts`, `import '@holdfast/core/testing'`],
]

const folder = mkdtempSync(join(tmpdir(), 'holdfast-lint-'))
/** @type {{ path: string, rule: string }[]} */
let findings = []

beforeAll(() => {
  cpSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  cpSync(join(root, 'tsconfig.base.json'), join(folder, 'tsconfig.base.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const tsconfig = {
    extends: './tsconfig.base.json',
    compilerOptions: { types: ['node'] },
    include: ['packages', 'bench', 'faults'],
  }
  write('tsconfig.json', JSON.stringify(tsconfig))
  write('.gitignore', 'node_modules')
  for (const [path, source] of [...violations, ...allowed]) write(path, `${source}\n`)
  findings = lint()
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each(violations)('%s is refused', (path, _source, rule) => {
  expect(findings.filter(finding => finding.path === path).map(finding => finding.rule)).toContain(rule)
})

test.each(allowed)('%s is allowed', path => {
  expect(findings.filter(finding => finding.path === path)).toEqual([])
})

/**
 * @param {string} path
 * @param {string} text
 */
function write(path, text) {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

function lint() {
  const oxlint = join(root, 'node_modules/.bin/oxlint')
  const { stdout } = spawnSync(oxlint, ['--type-aware', '--format=json'], { cwd: folder, encoding: 'utf8' })
  /** @type {{ diagnostics: { code: string, filename: string }[] }} */
  const { diagnostics } = JSON.parse(stdout)
  return diagnostics.map(({ code, filename }) => ({ path: filename, rule: code.replace(/^.*\((.*)\)$/, '$1') }))
}
