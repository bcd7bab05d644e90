// One server process on this machine: started until it answers, and never outliving the process that started it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports.mjs'

/**
 * @typedef {object} Program
 * @property {string} name
 * @property {number} readyMsMax
 * @property {(place: { port: number, dataDir: string }) => Command | Promise<Command>} command
 * @property {(port: number) => Promise<boolean>} isReady
 * @property {NodeJS.Signals} [termSignal] what is sent for SIGTERM, and for SIGKILL where the server ends for good: for one that
 *   would wait for its clients, or leave something behind
 */

/** @typedef {[string, ...string[]]} Command */

const startsMax = 5
const termMsMax = 5_000
const logName = 'server.log'

// Reads a word when the server is gone (its pid may become another's), and the end of the pipe when we are.
const watchdogScript = `
read -r gone
if [ -n "$gone" ]; then read -r _; else kill -"$3" "$1"; kill -CONT "$1"; fi 2>/dev/null
[ -z "$2" ] || rm -rf "$2" || { sleep 2; rm -rf "$2"; }
`

export class Server {
  #program
  #home
  #ownsHome
  #dataDir
  #port
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #watchdog

  /**
   * @param {Program} program
   * @param {{ dataDir: string | undefined, port: number }} place
   */
  constructor(program, { dataDir, port }) {
    this.#program = program
    this.#ownsHome = dataDir === undefined
    this.#home = dataDir ?? mkdtempSync(join(tmpdir(), `holdfast-${program.name}-`))
    this.#dataDir = this.#ownsHome ? join(this.#home, 'data') : this.#home
    this.#port = port
  }

  /**
   * @param {Program} program
   * @param {{ dataDir?: string | undefined, port?: number | undefined }} place
   */
  static async start(program, { dataDir, port }) {
    for (let start = 1; ; start++) {
      const server = new Server(program, { dataDir, port: port ?? (await freePort()) })
      try {
        await server.#launch()
        return server
      } catch (error) {
        await server.stop()
        // Somebody else may take the port between our look and the server's.
        if (port !== undefined || start === startsMax || !String(error).includes('ddress already in use')) throw error
      }
    }
  }

  get port() {
    return this.#port
  }

  get dataDir() {
    return this.#dataDir
  }

  get process() {
    return this.#process
  }

  get pid() {
    return this.#process?.pid
  }

  /**
   * Sends a signal; returns when the process is gone, or at once for a signal that does not end it.
   * @param {NodeJS.Signals} [signal]
   */
  async kill(signal = 'SIGKILL') {
    const process = this.#process
    if (process?.pid === undefined || hasEnded(process)) return
    process.kill(signal === 'SIGTERM' ? this.#termSignal : signal)
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM') return
    process.kill('SIGCONT')
    const patience = setTimeout(() => process.kill('SIGKILL'), termMsMax)
    process.ref()
    await once(process, 'exit')
    process.unref()
    clearTimeout(patience)
  }

  /**
   * Ends the process if it still runs, and starts it again on the same port.
   * @param {{ keepData?: boolean, signal?: 'SIGKILL' | 'SIGTERM' }} [options]
   */
  async restart({ keepData = true, signal = 'SIGKILL' } = {}) {
    await this.kill(signal)
    if (!keepData) rmSync(this.#dataDir, { recursive: true, force: true, maxRetries: 10 })
    const deadlineMs = performance.now() + this.#program.readyMsMax
    for (;;) {
      try {
        return await this.#launch()
      } catch (error) {
        // The helpers of a PostgreSQL that was killed end once they notice, and it does not start before.
        if (!String(error).includes('is still in use') || performance.now() > deadlineMs) throw error
        await sleep(20)
      }
    }
  }

  /** Ends the process for good and removes its data folder, unless that was given. */
  async stop() {
    await this.kill(this.#ownsHome && this.#program.termSignal === undefined ? 'SIGKILL' : 'SIGTERM')
    this.#watchdog?.kill('SIGKILL')
    // Helpers of a server may write for a moment longer than it lives.
    if (this.#ownsHome) rmSync(this.#home, { recursive: true, force: true, maxRetries: 10 })
  }

  [Symbol.asyncDispose]() {
    return this.stop()
  }

  /** @returns {NodeJS.Signals} */
  get #termSignal() {
    return this.#program.termSignal ?? 'SIGTERM'
  }

  async #launch() {
    mkdirSync(this.#dataDir, { recursive: true })
    const [command, ...args] = await this.#program.command({ port: this.#port, dataDir: this.#dataDir })
    // A file, not a pipe: a pipe would hold our process, and block the server while we are stopped.
    const log = openSync(join(this.#home, logName), 'w')
    // Detached: Ctrl-C is for the program that uses the server; the server goes when that program has gone.
    this.#process = spawn(command, args, { cwd: this.#dataDir, detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#process.on('error', () => {})
    this.#process.unref()
    this.#watch(this.#process)
    await this.#becomeReady(this.#process)
  }

  /**
   * However our process ends, be it by SIGKILL, its end of the pipe closes; then the watchdog kills the server.
   * @param {import('node:child_process').ChildProcess} server
   */
  #watch(server) {
    this.#watchdog?.kill('SIGKILL')
    if (server.pid === undefined) return
    const folder = this.#ownsHome ? this.#home : ''
    const signal = (this.#program.termSignal ?? 'SIGKILL').replace('SIG', '')
    const args = ['-c', watchdogScript, 'holdfast-watchdog', String(server.pid), folder, signal]
    const watchdog = spawn('/bin/sh', args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    watchdog.unref()
    const pipe = /** @type {import('node:net').Socket} */ (watchdog.stdin)
    pipe.on('error', () => {})
    pipe.unref()
    server.once('exit', () => pipe.write('gone\n'))
    this.#watchdog = watchdog
  }

  /** @param {import('node:child_process').ChildProcess} process */
  async #becomeReady(process) {
    const { name, readyMsMax, isReady } = this.#program
    const deadlineMs = performance.now() + readyMsMax
    while (performance.now() < deadlineMs) {
      if (process.pid === undefined || hasEnded(process))
        throw new Error(`${name} ended at its start:\n${this.#lastLines()}`)
      if ((await isReady(this.#port)) && !hasEnded(process)) return
      await sleep(20)
    }
    throw new Error(`${name} was not ready on port ${this.#port} within ${readyMsMax} ms:\n${this.#lastLines()}`)
  }

  #lastLines() {
    const path = join(this.#home, logName)
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-25).join('\n') : '(no log)'
  }
}

/** @param {import('node:child_process').ChildProcess} process */
function hasEnded(process) {
  return process.exitCode !== null || process.signalCode !== null
}
