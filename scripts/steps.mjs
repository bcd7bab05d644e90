// How the scripts speak and run programs. All of it goes to stderr: stdout belongs to the program that is run.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './root.mjs'

/** Something the person at the keyboard can act on; printed without a stack. */
export class Failure extends Error {}

/** @param {string} text */
export function say(text) {
  process.stderr.write(`${text}\n`)
}

/**
 * Runs a program at the repository's root, its output on stderr: at once, or only if it fails where it is `quiet`.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, quiet?: boolean }} [options]
 */
export function run(program, args, { env = process.env, quiet = false } = {}) {
  const sink = quiet ? 'pipe' : 2
  const result = spawnSync(program, args, {
    cwd: root,
    env,
    stdio: ['ignore', sink, sink],
    maxBuffer: 64 * 1024 * 1024,
  })
  const { status, signal, error } = result
  if (error !== undefined) throw new Failure(`Could not run ${program}: ${error.message}`)
  if (status === 0) return
  if (quiet) say(String(result.stdout) + String(result.stderr))
  throw new Failure(`\`${[program, ...args].join(' ')}\` ended with ${signal ?? `code ${status}`}.`)
}

/**
 * Compiles what changed; silent when all is well.
 * @param {readonly string[]} projects folders with a tsconfig.json, all of them by default
 */
export function build(projects = []) {
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...projects])
}

/**
 * Runs the work; a `Failure` becomes one line and exit code 1.
 * @param {() => void | Promise<void>} work
 */
export async function reportFailure(work) {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    say(error.message)
    process.exitCode = 1
  }
}
