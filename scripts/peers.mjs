// Clients of other languages: processes that are told what to do line by line.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { findCuratorClassPath, findJava, findKazooPython } from './servers/binaries.mjs'

/** @param {import('./peers.mjs').PeerOptions} options */
export async function startCurator(options) {
  const java = findJava()
  const classPath = findCuratorClassPath()
  if (java === undefined || classPath === undefined) throw new Error(missing('Apache Curator', 'curator'))
  const program = fileURLToPath(new URL('./peers/CuratorPeer.java', import.meta.url))
  const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
  return await Peer.start([java, '-Xmx256m', '-XX:+UseSerialGC', logging, '-cp', classPath, program], options)
}

/** @param {import('./peers.mjs').PeerOptions} options */
export async function startKazoo(options) {
  const python = findKazooPython()
  if (python === undefined) throw new Error(missing('kazoo', 'kazoo'))
  return await Peer.start([python, fileURLToPath(new URL('./peers/kazoo_peer.py', import.meta.url))], options)
}

/**
 * @param {string} label
 * @param {string} name
 */
function missing(label, name) {
  return `Found no ${label} on this machine: run \`node scripts/install.mjs ${name}\`.`
}

class Peer {
  #process
  #orders = 0
  /** @type {Map<string, { resolve: (text: string) => void, reject: (error: Error) => void }>} */
  #open = new Map()
  /** @type {string[]} */
  #complaints = []
  /** @type {Error | undefined} */
  #ended

  /**
   * @param {[string, ...string[]]} command
   * @param {import('./peers.mjs').PeerOptions} options
   */
  static async start([program, ...args], { connectString, sessionTimeoutMs = 10_000 }) {
    const child = spawn(program, [...args, connectString, String(sessionTimeoutMs)], { stdio: 'pipe' })
    const peer = new Peer(child)
    const ready = peer.#answerTo('ready')
    await ready
    return peer
  }

  /** @param {import('node:child_process').ChildProcessWithoutNullStreams} child */
  constructor(child) {
    this.#process = child
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => this.#complaints.push(text))
    // It ends with us: its orders end then.
    child.stdin.on('error', () => {})
    createInterface(child.stdout).on('line', line => this.#hear(line))
    child.on('close', () => this.#end())
  }

  get pid() {
    return this.#process.pid
  }

  /**
   * @param {import('./peers.mjs').PeerKind} kind
   * @param {string} path
   * @param {number} waitMs
   */
  async hold(kind, path, waitMs) {
    const id = this.#newId()
    if ((await this.#order(id, 'hold', kind, path, waitMs)) === 'timeout') return undefined
    return {
      free: async () => {
        const released = this.#answerTo(id)
        await Promise.all([released, this.#order(this.#newId(), 'free', id)])
      },
    }
  }

  /**
   * @param {import('./peers.mjs').PeerKind} kind
   * @param {string} path
   * @param {number} count
   * @param {string} room
   */
  async rounds(kind, path, count, room) {
    return Number(await this.#order(this.#newId(), 'rounds', kind, path, count, room))
  }

  /**
   * @param {'apart' | 'together'} placement
   * @param {string} path
   * @param {{ threads: number, ms: number, holdMs: number }} load
   */
  async race(placement, path, { threads, ms, holdMs }) {
    return Number(await this.#order(this.#newId(), 'race', placement, path, threads, ms, holdMs))
  }

  /** @param {string} path */
  async revoke(path) {
    await this.#order(this.#newId(), 'revoke', path)
  }

  /**
   * @param {'set' | 'remove' | 'wait'} what
   * @param {string} path
   */
  async barrier(what, path) {
    await this.#order(this.#newId(), 'barrier', what, path)
  }

  /**
   * @param {string} path
   * @param {number} parties
   */
  async enter(path, parties) {
    const id = this.#newId()
    await this.#order(id, 'enter', path, parties)
    return async () => void (await this.#order(this.#newId(), 'leave', id))
  }

  async kill() {
    this.#process.kill('SIGKILL')
    await this.#closed()
  }

  async stop() {
    this.#process.stdin.end()
    await this.#closed()
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }

  #newId() {
    return String((this.#orders += 1))
  }

  /** @param {(string | number)[]} words */
  #order(/** @type {string} */ id, ...words) {
    const answer = this.#answerTo(id)
    this.#process.stdin.write(`${[id, ...words].join('\t')}\n`)
    return answer
  }

  /**
   * @param {string} id
   * @returns {Promise<string>}
   */
  #answerTo(id) {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => this.#open.set(id, { resolve, reject }))
  }

  /** @param {string} line */
  #hear(line) {
    const [id = '', outcome, text = ''] = line.split('\t')
    const waiting = this.#open.get(id)
    this.#open.delete(id)
    if (outcome === 'error') waiting?.reject(new Error(text))
    else waiting?.resolve(text)
  }

  #end() {
    this.#ended = new Error(`The peer has ended. ${this.#complaints.join('')}`)
    for (const { reject } of this.#open.values()) reject(this.#ended)
    this.#open.clear()
  }

  async #closed() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'close')
  }
}
