import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Applied, ReaderSettings } from './reader-worker.ts'

/** One reader, in a process of its own. */
export class ReaderProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  #waiting: { readonly value: number; readonly resolve: (atMs: number) => void } | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(settings: ReaderSettings): Promise<ReaderProcess> {
    const child = fork(new URL('./reader-worker.js', import.meta.url), [JSON.stringify(settings)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    })
    const reader = new ReaderProcess(child)
    await once(child, 'message')
    child.on('message', (applied: Applied) => reader.#receive(applied))
    return reader
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** When it has a value that is yet to be published, by the clock that all processes share. */
  has(value: number): Promise<number> {
    return new Promise(resolve => (this.#waiting = { value, resolve }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
  }

  #receive({ value, atMs }: Applied): void {
    if (value === this.#waiting?.value) this.#waiting.resolve(atMs)
  }
}
