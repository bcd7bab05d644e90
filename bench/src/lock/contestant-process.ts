import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from './contestants/index.ts'
import type { Load, LoadResults } from './loads/load.ts'

/** Who runs in a process, and how it is connected. */
export interface ContestantSettings {
  readonly store: Store
  readonly contestant: string
  /** Of a quorum: the addresses of its servers, with commas between. */
  readonly address: string
  readonly connections: number
  /** Every name that will be locked. */
  readonly names: readonly string[]
  /** How long leaderships last after a crash, in milliseconds. @default the contestant's own */
  readonly ttlMs?: number
}

/** What a process answers to each load, and once when it is connected. */
export type WorkerAnswer =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly message: string }

const CONNECT_MS_MAX = 20_000
const STOP_MS_MAX = 3_000

/** A process of one contestant, so that none disturbs how another's code is compiled, nor its heap. */
export class ContestantProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #who: string

  private constructor(settings: ContestantSettings) {
    this.#who = `${settings.contestant} on ${settings.store}`
    this.#child = fork(new URL('./contestant-worker.js', import.meta.url), [JSON.stringify(settings)], {
      // What a library prints must not get between our rows.
      stdio: ['ignore', 2, 2, 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    })
  }

  /** Returns once it is connected. */
  static async start(settings: ContestantSettings): Promise<ContestantProcess> {
    const started = new ContestantProcess(settings)
    try {
      await started.#answer(CONNECT_MS_MAX)
      return started
    } catch (error) {
      await started.stop()
      throw error
    }
  }

  /** Runs one load; `limitMs` bounds how long it may take. */
  async run<L extends Load>(load: L, limitMs: number): Promise<LoadResults[L['kind']]> {
    const answer = this.#answer(limitMs)
    this.#child.send(load)
    return (await answer) as LoadResults[L['kind']]
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async stop(): Promise<void> {
    if (this.#hasEnded) return
    const exit = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.disconnect()
    await Promise.race([exit, sleep(STOP_MS_MAX, undefined, { ref: false })])
    await this.kill()
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #answer(limitMs: number): Promise<unknown> {
    const end = new AbortController()
    const { signal } = end
    try {
      const answer = await Promise.race([
        once(this.#child, 'message', { signal }).then(([message]) => message as WorkerAnswer),
        once(this.#child, 'exit', { signal }).then(() => failed('its process ended')),
        sleep(limitMs, failed(`it did not answer within ${limitMs} ms`), { signal }),
      ])
      if (answer.kind === 'failed') throw new Error(`${this.#who} failed: ${answer.message}`)
      return answer.result
    } finally {
      end.abort()
    }
  }
}

function failed(message: string): WorkerAnswer {
  return { kind: 'failed', message }
}
