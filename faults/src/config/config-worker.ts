import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { holdWorker } from '../stage/worker-process.ts'
import type { OrderMessage, OrderName, Orders, WorkerMessage } from './protocol.ts'

const ENTRY = fileURLToPath(new URL('./worker.js', import.meta.url))

interface Pending {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

/** A process of publishers and readers. */
export class ConfigWorker {
  readonly mishaps: string[] = []
  readonly #child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  #orders = 0
  #published = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    holdWorker(child)
    child.on('error', () => {})
    child.on('message', (message: WorkerMessage) => this.#receive(message))
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#pending.values()) reject(new Error(`The worker ended (${signal ?? code}).`))
    })
  }

  static async start(): Promise<ConfigWorker> {
    const worker = new ConfigWorker(
      fork(ENTRY, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    )
    await once(worker.#child, 'message')
    return worker
  }

  /** How many releases its publisher has brought about. */
  get published(): number {
    return this.#published
  }

  order<Name extends OrderName>(name: Name, argument: Orders[Name]['with']): Promise<Orders[Name]['answer']> {
    const answer = new Promise<Orders[Name]['answer']>((resolve, reject) => {
      const id = ++this.#orders
      this.#pending.set(id, { resolve: resolve as (answer: never) => void, reject })
      const message: OrderMessage = { id, name, with: argument }
      this.#child.send(message)
    })
    // A run that was given up leaves orders behind that nobody awaits.
    answer.catch(() => {})
    return answer
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case 'ready':
        return
      case 'progress':
        this.#published = message.published
        return
      case 'mishap':
        return void this.mishaps.push(message.message)
      case 'answered':
        return this.#take(message.id)?.resolve(message.answer as never)
      case 'failed':
        return this.#take(message.id)?.reject(new Error(message.message))
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }
}
