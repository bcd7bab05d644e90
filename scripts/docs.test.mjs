// Keeps the documentation honest: its examples run, its links lead somewhere, its tables are those of the code.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Workshop, allExamples, examplesOf } from './docs/examples.mjs'
import { channelsIn, defaultsIn, optionsIn } from './docs/facts.mjs'
import { anchorsOf, brokenLinks, codeBlocksOf, pagePaths, readPage, tableRowsOf } from './docs/pages.mjs'
import { root } from './root.mjs'
import { startPostgres, startRedis, startZooKeeper } from './servers.mjs'

const pages = pagePaths()
const examples = allExamples()

describe('Examples', () => {
  /** @type {Workshop} */
  let workshop
  /** @type {{ stop(): Promise<void> }[]} */
  let servers = []

  beforeAll(async () => {
    // Of our own, on other ports than the pages name: examples leave locks and data behind.
    const [redis, zookeeper, postgres] = await Promise.all([
      startRedis({ appendonly: 'always' }),
      startZooKeeper(),
      startPostgres({ args: ['-c', 'fsync=on'] }),
    ])
    servers = [redis, zookeeper, postgres]
    const place = (/** @type {string} */ program) =>
      program
        .replaceAll('redis://127.0.0.1:6379', redis.url)
        .replaceAll('127.0.0.1:2181', zookeeper.connectString)
        .replaceAll('postgres://127.0.0.1:5432/shop', postgres.url)
    workshop = new Workshop(examples, place)
    await workshop.compile()
  })

  afterAll(async () => {
    workshop?.remove()
    await Promise.all(servers.map(server => server.stop()))
  })

  test('there are some on each page that teaches by them', () => {
    for (const page of [
      'README.md',
      'docs/locks.md',
      'docs/recipes.md',
      'docs/config.md',
      'docs/resilience.md',
      'docs/testing.md',
      'docs/do-you-need-a-lock.md',
    ]) {
      expect(examples.filter(({ name }) => name.startsWith(`${page}:`)).length).toBeGreaterThan(2)
    }
  })

  test.each(examples)('$name runs, ends by itself, and prints what the page says', async example => {
    const printed = await workshop.run(example)
    expect(printed).toBe(example.output ?? printed)
  })

  test('one without imports continues the setup of its page', () => {
    const page =
      '```js setup\nimport "a"\n```\n```js\nuse()\n```\n```text output\n1\n```\n```sh\nls\n```\n```ts\nimport "b"\n```\n'
    expect(examplesOf('p.md', page)).toEqual([
      { name: 'p.md:2', language: 'js', program: 'import "a"\n\n\nawait backend.close()\n', output: undefined },
      { name: 'p.md:5', language: 'js', program: 'import "a"\n\nuse()\n\nawait backend.close()\n', output: '1\n' },
      { name: 'p.md:14', language: 'ts', program: 'import "b"\n', output: undefined },
    ])
    expect(() => examplesOf('p.md', '```js\nuse()\n```\n')).toThrow('p.md:2 imports nothing')
  })
})

test('the first program of the README is a file of examples/quickstart', () => {
  const first = codeBlocksOf('README.md').find(({ language }) => language === 'js')
  const folder = join(root, 'examples/quickstart')
  const files = readdirSync(folder).filter(name => name.endsWith('.js'))
  const programs = files.map(name => readFileSync(join(folder, name), 'utf8'))
  expect(programs).toContain(first?.code)
})

describe('Links', () => {
  const read = (/** @type {string} */ path) => {
    if (!existsSync(join(root, path))) return undefined
    return path.endsWith('.md') ? readPage(path) : ''
  }

  test.each(pages)('of %s lead somewhere', page => {
    expect(brokenLinks(page, readPage(page), read)).toEqual([])
  })

  test('that lead nowhere are found', () => {
    const text =
      '# A b\n[x](#a-b) [x](#c) [x](docs/none.md) [x](https://example.com) `[x](#code)`\n```js\n[x](#d)\n```\n'
    expect(brokenLinks('README.md', text, () => undefined)).toEqual(['#c', 'docs/none.md'])
    expect(anchorsOf('## `HF_CLOSED`, and more: yes\n')).toEqual(['hf_closed-and-more-yes'])
  })

  test('every decision is on its list', () => {
    const listed = readPage('docs/decisions/README.md')
    const decisions = readdirSync(join(root, 'docs/decisions')).filter(name => /^\d/.test(name))
    expect(decisions.filter(name => !listed.includes(`(${name})`))).toEqual([])
    expect(decisions.map(name => name.slice(0, 4))).toEqual(
      decisions.map((_, index) => String(index + 1).padStart(4, '0')),
    )
  })
})

describe('Tables of options', () => {
  /** @type {[heading: string, file: string, type: string, page?: string][]} */
  const tables = [
    ['Options of acquire', 'packages/core/src/lease/options.ts', 'AcquireOptions'],
    ['Options of memoryBackend', 'packages/core/src/memory/index.ts', 'MemoryBackendOptions'],
    ['Options of redisBackend', 'packages/core/src/redis/backend.ts', 'RedisBackendOptions'],
    ['Options of redisFence', 'packages/core/src/redis/guard.ts', 'RedisFenceOptions'],
    ['Options of postgresFence', 'packages/core/src/postgres/guard.ts', 'PostgresFenceOptions'],
    ['Options of zookeeperBackend', 'packages/core/src/zookeeper/options.ts', 'ZooKeeperBackendOptions'],
    ['Options of openConfig', 'packages/config-client/src/client/options.ts', 'ConfigOptions', 'docs/config.md'],
    [
      'Options of openConfigAdmin',
      'packages/config-client/src/admin/admin-options.ts',
      'ConfigAdminOptions',
      'docs/config.md',
    ],
    [
      'Options of instrumentLocks',
      'packages/core/src/otel/instrument-locks.ts',
      'InstrumentLocksOptions',
      'docs/telemetry.md',
    ],
    ['Options of publish', 'packages/config-client/src/admin/admin.ts', 'PublishOptions', 'docs/config.md'],
    [
      'Options of defineNamespace',
      'packages/config-client/src/namespace/namespace.ts',
      'NamespaceOptions',
      'docs/config.md',
    ],
    ['Options of postgresBackend', 'packages/core/src/postgres/backend.ts', 'PostgresBackendOptions', 'docs/config.md'],
  ]

  test.each(tables)('%s: the options of %s, and their defaults', (heading, file, type, page = 'docs/locks.md') => {
    const source = readFileSync(join(root, file), 'utf8')
    const rows = rowsUnder(page, heading)
    expect(rows.map(([name]) => name)).toEqual(optionsIn(source, type))
    for (const [option, value] of defaultsIn(source, type)) {
      const [, seen = ''] = rows.find(([name]) => name === option) ?? []
      expect(`${option} ${plain(seen)}`).toContain(`${option} ${plain(value)}`)
    }
  })

  /** What all policies have is said once. */
  const COMMON = ['name', 'mode', 'clock', 'random']
  /** @type {[of: string, file: string, types: string[]][]} */
  const policies = [
    ['a call', 'call.ts', ['CallOptions']],
    ['timeout', 'timeout/timeout.ts', ['TimeoutOptions']],
    ['retry', 'retry/options.ts', ['RetryOptions']],
    ['retryBudget', 'retry/retry-budget.ts', ['RetryBudgetOptions']],
    ['hedge', 'hedge/hedge.ts', ['HedgeOptions']],
    ['circuitBreaker', 'breaker/options.ts', ['CircuitBreakerRule', 'CircuitBreakerOptions']],
    ['shared', 'breaker/options.ts', ['SharedBreaker']],
    ['bulkhead', 'bulkhead/options.ts', ['BulkheadOptions']],
    ['fallback', 'fallback/fallback.ts', ['FallbackOptions']],
    ['rateLimit', 'rate-limit/options.ts', ['RateLimitOptions']],
    ['adaptiveLimit', 'adaptive/adaptive-options.ts', ['AdaptiveLimitOptions']],
    ['shed', 'shed/shed.ts', ['ShedOptions']],
    ['degradation', 'degrade/degradation.ts', ['DegradationOptions']],
    ['degrade', 'degrade/degrade.ts', ['DegradeOptions']],
    ['throttle', 'throttle/throttle.ts', ['ThrottleOptions']],
    ['cache', 'cache/options.ts', ['CacheOptions']],
    ['idempotent', 'idempotency/options.ts', ['IdempotentOptions']],
    ['protect', 'http/options.ts', ['ProtectOptions']],
    ['resilientFetch', 'http/resilient-fetch.ts', ['ResilientFetchOptions']],
  ]

  test.each(policies)(
    'of %s in the guide of resilience: its options, and defaults that are numbers',
    (of, file, types) => {
      const source = readFileSync(join(root, 'packages/resilience/src', file), 'utf8')
      const rows = rowsOfTable('docs/resilience.md', `option of ${of}`)
      const named = rows.flatMap(([cell]) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
      const known = types.flatMap(type => optionsIn(source, type)).filter(name => !COMMON.includes(name))
      expect(named.filter(name => !COMMON.includes(name)).sort()).toEqual(known.sort())
      for (const [option, value] of types.flatMap(type => defaultsIn(source, type))) {
        if (COMMON.includes(option) || !/^[\d_.]+$/.test(value)) continue
        const [cell, seen = ''] = rows.find(([first]) => first.includes(`\`${option}\``)) ?? ['']
        const at = [...cell.matchAll(/`(\w+)`/g)].findIndex(([, name]) => name === option)
        const shown = named.length === rows.length ? seen : (seen.split(/, (?=[\d`])/)[at] ?? '')
        expect(`${option} ${plain(shown)}`).toContain(`${option} ${plain(value)}`)
      }
    },
  )

  test('an option that is missing, or has another default, would be seen', () => {
    const source =
      "export interface A {\n  /** Long. @default 'hf' */\n  readonly b?: string\n  /**\n   * Longer.\n   *\n   * @default 3000\n   */\n  readonly c?: number\n  readonly d: string\n}\n"
    expect(optionsIn(source, 'A')).toEqual(['b', 'c', 'd'])
    expect(defaultsIn(source, 'A')).toEqual([
      ['b', "'hf'"],
      ['c', '3000'],
    ])
  })
})

test.each([
  ['docs/architecture.md', () => true],
  ['docs/locks.md', (/** @type {string} */ channel) => !/^holdfast:(?:config|resilience)\./.test(channel)],
])('%s lists the channels that the code publishes on', (page, isOfPage) => {
  const listed = tableRowsOf(readPage(page)).flatMap(([cell = '']) =>
    [...cell.matchAll(/^`((?:tracing:)?holdfast:[\w.]+)/g)].map(([, name]) => name),
  )
  expect(new Set(listed)).toEqual(new Set(channelsIn(sourcesOfPackages()).filter(isOfPage)))
})

test.each(pages)('%s names no npm script that does not exist', page => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const named = [...readPage(page).matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name ?? '')
  // Planned, and said to be so.
  expect(named.filter(name => scripts[name] === undefined)).toEqual([])
})

test('the packages of the README that are here are those of the folder', () => {
  const rows = rowsUnder('README.md', 'Packages').filter(([, state]) => state === 'here')
  const manifests = readdirSync(join(root, 'packages')).map(name =>
    JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')),
  )
  expect(new Set(rows.map(([name]) => name))).toEqual(new Set(manifests.map(({ name }) => name)))
})

test.each(pages)('%s names no place of the machine that it was written on', page => {
  expect(readPage(page)).not.toMatch(/\/(?:work|root|home)\/|\/tmp\/[a-z]|registry\.[a-z]/)
})

/**
 * The rows of the first table under a heading, without its own heading; names without backticks.
 * @param {string} page
 * @param {string} heading
 */
function rowsUnder(page, heading) {
  const text = readPage(page)
  const section = text.split(/^#{2,3} /m).find(part => part.replaceAll('`', '').startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`${page} has no heading "${heading}".`)
  return tableRowsOf(section)
    .slice(1)
    .map(([name = '', ...cells]) => [name.replace(/^\[?`([^`]+)`.*$/, '$1'), ...cells])
}

/**
 * The rows of the table whose first cell says what it is a table of.
 * @param {string} page
 * @param {string} title
 * @returns {[string, ...string[]][]}
 */
function rowsOfTable(page, title) {
  const lines = readPage(page).split('\n')
  const from = lines.findIndex(line => line.replaceAll('`', '').startsWith(`| ${title} |`))
  if (from === -1) throw new Error(`${page} has no table "${title}".`)
  const to = lines.findIndex((line, index) => index > from && !line.startsWith('|'))
  const [, ...rows] = tableRowsOf(lines.slice(from, to === -1 ? undefined : to).join('\n'))
  return rows.map(([name = '', ...cells]) => [name, ...cells])
}

/** @param {string} text */
function plain(text) {
  return text.replace(/[`',_]|(?<=\d) (?=\d)/g, '')
}

function sourcesOfPackages() {
  return readdirSync(join(root, 'packages'), { recursive: true })
    .map(name => join(root, 'packages', String(name)))
    .filter(path => /\/src\/.*(?<!\.test)\.ts$/.test(path) && !path.includes('node_modules'))
    .map(path => readFileSync(path, 'utf8'))
}
