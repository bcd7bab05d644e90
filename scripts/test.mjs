// `npm test [-- vitest's arguments]`: installs, builds, starts the servers, runs every suite, stops the servers.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { install } from './install.mjs'
import { root } from './root.mjs'
import { sharedPostgres, sharedRedis, sharedZooKeeper } from './servers.mjs'
import { build, reportFailure, say } from './steps.mjs'
import { judge } from './verdict.mjs'

await reportFailure(async () => {
  install(['npm', 'redis', 'zookeeper', 'postgres', 'curator', 'kazoo'])
  say('Building.')
  build()
  const [redis, zookeeper, postgres] = await Promise.all([sharedRedis(), sharedZooKeeper(), sharedPostgres()])
  const servers = [redis, zookeeper, postgres]
  say(
    `Testing with Redis at ${redis.url}, ZooKeeper at ${zookeeper.connectString} and PostgreSQL at ${withoutPassword(postgres.url)}.`,
  )
  try {
    process.exitCode = await runVitest(process.argv.slice(2), {
      HOLDFAST_REDIS_URL: redis.url,
      HOLDFAST_ZOOKEEPER: zookeeper.connectString,
      HOLDFAST_POSTGRES_URL: postgres.url,
      // Tests may do anything to servers that we started; what a user named, they only borrow.
      ...(servers.every(server => 'pid' in server) ? { HOLDFAST_OWN_SERVERS: '1' } : {}),
    })
  } finally {
    await Promise.all(servers.map(server => server.stop()))
  }
})

/** @param {string} url */
function withoutPassword(url) {
  return url.replace(/:[^:@/]*@/, ':***@')
}

/**
 * @param {readonly string[]} args
 * @param {Record<string, string>} variables
 * @returns {Promise<number>} the exit code
 */
async function runVitest(args, variables) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  const report = join(folder, 'report.json')
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts/silent-report.mjs')}`]
  try {
    const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
      cwd: root,
      env: { ...process.env, ...variables, HOLDFAST_TEST_REPORT: report },
      stdio: 'inherit',
    })
    const stopListening = passSignalsTo(child)
    const [code] = await once(child, 'close')
    stopListening()
    const verdict = judge({
      code: code ?? 1,
      report: existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined,
      isNarrowed: args.some(arg => /^(-t|--testNamePattern)/.test(arg)),
    })
    for (const complaint of verdict.complaints) say(complaint)
    process.stdout.write(`${verdict.passed} passed, ${verdict.failed} failed\n`)
    return verdict.code
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Lets the child end first, so that the servers can be stopped after it.
 * @param {import('node:child_process').ChildProcess} child
 */
function passSignalsTo(child) {
  const pass = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal)
  process.on('SIGINT', pass).on('SIGTERM', pass)
  return () => process.off('SIGINT', pass).off('SIGTERM', pass)
}
